"""The contract of transports, kept by the route and by the listener."""

import broker_metrics

from broker.testing import TransportContract
from broker_metrics.config import MetricsConfig

TOKEN = "a token of 32 bytes, or of more."


class TestMetricsOnThePortOfTheBroker(TransportContract):
    plugin = broker_metrics
    config = {"token": TOKEN}
    unprobed = {"GET /metrics": "who scrapes shows a token of its own, which is no identity's"}

    def make_transport(self, broker, plugin):
        return broker_metrics.provide_transport(plugin, broker)


class TestMetricsListener(TransportContract):
    def make_transport(self, broker, plugin):
        import msgspec

        config = MetricsConfig(listen="127.0.0.1:0")
        return broker_metrics.provide_transport(
            msgspec.structs.replace(plugin, config=config), broker
        )
