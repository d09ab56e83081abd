"""The observer that writes to the log: what happens to queues at INFO, to messages at DEBUG."""

import logging
from collections.abc import Sequence
from typing import get_args

from broker import Event, EventKind, Observer, PluginContext, hookimpl

QUEUE_KINDS = frozenset[EventKind](
    kind for kind in get_args(EventKind) if kind.startswith("queue.")
)


class LogObserver(Observer):
    """Writes one line an event: what, which queue, which message, who.

    Of messages only if the logger is at DEBUG when the broker is assembled: the events of messages
    that nobody wants are not even made.
    """

    in_loop = True

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        if not logger.isEnabledFor(logging.DEBUG):
            self.kinds = QUEUE_KINDS

    def notify(self, events: Sequence[Event]) -> None:
        """Log the events of one operation."""
        for event in events:
            level = logging.INFO if event.kind.startswith("queue.") else logging.DEBUG
            if self._logger.isEnabledFor(level):
                self._logger.log(level, event.kind, extra=_fields(event))


def _fields(event: Event) -> dict[str, str | int]:
    """Return what the event tells, by the names that all lines of the log have for it."""
    fields: dict[str, str | int | None] = {
        "queue": event.queue or None,
        "message_id": event.message_id,
        "count": None if event.count == 1 else event.count,
        "moved_to": event.moved_to,
        "reason": event.reason,
        "identity": event.subject,
    }
    return {name: value for name, value in fields.items() if value is not None}


@hookimpl
def provide_observer(plugin: PluginContext) -> Observer:
    """Log events; on unless `broker.disable` names it."""
    return LogObserver(plugin.logger)
