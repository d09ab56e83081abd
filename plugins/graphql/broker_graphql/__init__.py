"""The plugin `graphql`: the whole broker in one GraphQL endpoint."""

from broker import Broker, Observer, PluginContext, Transport, hookimpl
from pydantic import BaseModel

from broker_graphql.config import GraphqlConfig


@hookimpl
def config_schema() -> type[BaseModel]:
    """Return what `[plugins.graphql]` may hold."""
    return GraphqlConfig


@hookimpl
def provide_observer(plugin: PluginContext) -> Observer:
    """Return what tells those who subscribed."""
    from broker_graphql.assembly import make_events

    return plugin.once(make_events)


@hookimpl
def provide_transport(plugin: PluginContext, broker: Broker) -> Transport:
    """Return the endpoint."""
    from broker_graphql.assembly import make_transport

    return make_transport(plugin, broker)
