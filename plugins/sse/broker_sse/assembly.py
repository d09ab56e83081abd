"""The parts of this plugin that its hooks share."""

from __future__ import annotations

from broker import Broker, PluginContext

from broker_sse.admission import Admission
from broker_sse.door import Door
from broker_sse.hub import Hub
from broker_sse.log import EventLog, LocalLog
from broker_sse.tickets import LocalTickets
from broker_sse.transport import SseTransport


def make_hub(plugin: PluginContext) -> Hub:
    """Return what tells the streams of a broker."""
    return Hub(history=plugin.config.history, buffer=plugin.config.buffer)


def make_log(plugin: PluginContext) -> EventLog:
    """Return what puts events in an order."""
    return LocalLog(plugin.once(make_hub))


def make_transport(plugin: PluginContext, broker: Broker) -> SseTransport:
    """Return the routes, with what finds out who asks."""
    tickets = LocalTickets(plugin.clock)
    return SseTransport(
        broker,
        plugin.once(make_hub),
        door=Door(broker, tickets),
        admission=Admission(broker, tickets),
    )
