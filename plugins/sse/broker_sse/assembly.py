"""The parts of this plugin that its hooks share."""

from __future__ import annotations

from broker import Broker, PluginContext

from broker_sse.admission import Admission
from broker_sse.config import SseConfig
from broker_sse.door import Door
from broker_sse.hub import Hub
from broker_sse.log import EventLog, LocalLog
from broker_sse.tickets import LocalTickets, Tickets
from broker_sse.transport import SseTransport


def make_hub(plugin: PluginContext) -> Hub:
    """Return what tells the streams of a broker."""
    hub = Hub(history=plugin.config.history, buffer=plugin.config.buffer)
    plugin.meter.gauge("sse_subscribers", "Streams of events that are open.", lambda: len(hub))
    plugin.meter.counted(
        "sse_evicted",
        "Streams of events that were dropped because their clients took too little.",
        lambda: hub.evicted,
    )
    return hub


def make_log(plugin: PluginContext) -> EventLog:
    """Return what puts events in an order: this broker's, or that of all who share a Redis."""
    config: SseConfig = plugin.config
    hub = plugin.once(make_hub)
    if config.redis_url is None:
        return LocalLog(hub)
    from broker_sse.redis_log import RedisLog
    from broker_sse.redis_order import RedisOrder

    order = RedisOrder(
        config.redis_url.get_secret_value(), prefix=config.redis_prefix, history=config.history
    )
    return RedisLog(hub, order, history=config.history, clock=plugin.clock, logger=plugin.logger)


def make_transport(plugin: PluginContext, broker: Broker) -> SseTransport:
    """Return the routes, with what finds out who asks."""
    plugin.once(make_log).wake = broker.wake
    tickets = _make_tickets(plugin)
    return SseTransport(
        broker,
        plugin.once(make_log),
        tickets=tickets,
        door=Door(broker, tickets),
        admission=Admission(broker, tickets),
    )


def _make_tickets(plugin: PluginContext) -> Tickets:
    config: SseConfig = plugin.config
    if config.redis_url is None:
        return LocalTickets(plugin.clock)
    from broker_sse.redis_tickets import RedisTickets

    url = config.redis_url.get_secret_value()
    return RedisTickets(plugin.clock, url, prefix=config.redis_prefix)
