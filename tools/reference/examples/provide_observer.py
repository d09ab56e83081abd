"""A log line for each message that failed."""

import logging
from collections.abc import Sequence

import broker


class AcmeObserver(broker.Observer):
    """Warns of failures; of nothing else it is even told."""

    kinds = frozenset({"message.failed", "message.dead_lettered"})

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def notify(self, events: Sequence[broker.Event]) -> None:
        """Write a line for each."""
        for event in events:
            self._logger.warning("%s in %s: %s", event.kind, event.queue, event.reason)


@broker.hookimpl
def provide_observer(plugin: broker.PluginContext) -> broker.Observer:
    """Return one of those that are told."""
    return AcmeObserver(plugin.logger)
