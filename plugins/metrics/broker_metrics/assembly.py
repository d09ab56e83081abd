"""The parts of this plugin."""

from __future__ import annotations

import platform

from broker import Broker, Meter, PluginContext

from broker_metrics.config import MetricsConfig
from broker_metrics.pulse import Pulse
from broker_metrics.queues import QueueNumbers
from broker_metrics.scraping import Scraper
from broker_metrics.transport import MetricsTransport


def make_transport(plugin: PluginContext, broker: Broker) -> MetricsTransport:
    """Return what is scraped, with what it shows of queues and of the broker itself."""
    config: MetricsConfig = plugin.config
    queues = QueueNumbers()
    queues.show(plugin.meter)
    show_infos(plugin.meter, broker)
    token = None if config.token is None else config.token.get_secret_value()
    scraper = Scraper(broker, queues, clock=plugin.clock, logger=plugin.logger)
    scraper.show(plugin.meter)
    pulse = Pulse(plugin.meter)
    return MetricsTransport(scraper, pulse, address=config.address, token=token)


def show_infos(meter: Meter, broker: Broker) -> None:
    """Show of what versions the broker is made, and since when it runs."""
    info = broker.info
    build = {(info.version, platform.python_version(), info.storage): 1}
    plugins = {(one.name, one.distribution, one.version): 1 for one in info.plugins}
    meter.gauge(
        "build_info",
        "Always 1: the versions of the broker and of Python, and the plugin that stores.",
        lambda: build,
        labels=("version", "python", "storage"),
    )
    meter.gauge(
        "plugin_info",
        "Always 1: a plugin in use, and its version.",
        lambda: plugins,
        labels=("plugin", "distribution", "version"),
    )
    meter.gauge(
        "start_time_seconds",
        "When the broker was started, in seconds since 1970.",
        lambda: info.started_at / 1000,
    )
