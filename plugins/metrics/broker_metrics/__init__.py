"""The plugin `metrics`: numbers of the broker and its plugins, for Prometheus."""

from broker import Broker, PluginContext, Transport, hookimpl
from pydantic import BaseModel

from broker_metrics.config import MetricsConfig


@hookimpl
def config_schema() -> type[BaseModel]:
    """Return what `[plugins.metrics]` may hold."""
    return MetricsConfig


@hookimpl
def provide_transport(plugin: PluginContext, broker: Broker) -> Transport:
    """Return what is scraped."""
    from broker_metrics.assembly import make_transport

    return make_transport(plugin, broker)
