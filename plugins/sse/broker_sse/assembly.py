"""The parts of this plugin that its hooks share."""

from __future__ import annotations

from broker import PluginContext

from broker_sse.hub import Hub
from broker_sse.log import EventLog, LocalLog


def make_hub(plugin: PluginContext) -> Hub:
    """Return what tells the streams of a broker."""
    return Hub(history=plugin.config.history, buffer=plugin.config.buffer)


def make_log(plugin: PluginContext) -> EventLog:
    """Return what puts events in an order."""
    return LocalLog(plugin.once(make_hub))
