"""The plugin `sse`: what happens in the broker, as Server-Sent Events."""

from broker import Broker, Observer, PluginContext, Transport, hookimpl
from pydantic import BaseModel

from broker_sse.config import SseConfig


@hookimpl
def config_schema() -> type[BaseModel]:
    """Return what `[plugins.sse]` may hold."""
    return SseConfig


@hookimpl
def provide_observer(plugin: PluginContext) -> Observer:
    """Return what hears of everything."""
    from broker_sse.assembly import make_log

    return plugin.once(make_log)


@hookimpl
def provide_transport(plugin: PluginContext, broker: Broker) -> Transport:
    """Return the routes."""
    from broker_sse.assembly import make_transport

    return make_transport(plugin, broker)
