"""The REST API: the routes that every client of an assembled broker can rely on."""

from broker import Broker, PluginContext, Transport, hookimpl
from broker.builtin.rest.transport import RestTransport


@hookimpl
def provide_transport(plugin: PluginContext, broker: Broker) -> Transport:
    """Return the REST routes."""
    return RestTransport(broker, data_dir=plugin.data_dir)
