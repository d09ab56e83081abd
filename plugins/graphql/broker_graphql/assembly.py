"""The parts of this plugin that its hooks share."""

from __future__ import annotations

from broker import Broker, PluginContext

from broker_graphql.config import GraphqlConfig
from broker_graphql.engine import Engine
from broker_graphql.events import Events
from broker_graphql.executor import Executor
from broker_graphql.gate.cost import Costs
from broker_graphql.gate.documents import Documents
from broker_graphql.resolvers.contents import CONTENTS
from broker_graphql.resolvers.mutations import MUTATIONS
from broker_graphql.resolvers.plain import PLAIN
from broker_graphql.resolvers.queries import QUERIES
from broker_graphql.resolvers.stats import STATS
from broker_graphql.resolvers.subscriptions import SUBSCRIPTIONS
from broker_graphql.schema import make_schema
from broker_graphql.transport import GraphqlTransport

RESOLVERS = {**QUERIES, **CONTENTS, **STATS, **PLAIN, **MUTATIONS, **SUBSCRIPTIONS}


def make_events(plugin: PluginContext) -> Events:
    """Return what tells those who subscribed."""
    events = Events()
    plugin.meter.gauge(
        "graphql_subscriptions", "Subscriptions that are open.", lambda: len(events.audience)
    )
    plugin.meter.counted(
        "graphql_evicted",
        "Subscriptions that were dropped because their clients took too little.",
        lambda: events.evicted,
    )
    return events


def make_transport(plugin: PluginContext, broker: Broker) -> GraphqlTransport:
    """Return the endpoint, with what answers there."""
    schema = make_schema()
    config: GraphqlConfig = plugin.config
    tells_schema = (
        plugin.environment != "production" if config.introspection is None else config.introspection
    )
    executor = Executor(
        broker,
        Documents(schema, config, plugin.data_dir, hide_suggestions=not tells_schema),
        Costs(schema, config),
        Engine(schema, RESOLVERS),
        plugin.once(make_events),
        buffer=config.buffer,
        tells_schema=tells_schema,
        logger=plugin.logger,
    )
    return GraphqlTransport(broker, executor, config)
