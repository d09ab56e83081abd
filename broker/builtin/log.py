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

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        if not logger.isEnabledFor(logging.DEBUG):
            self.kinds = QUEUE_KINDS

    def notify(self, events: Sequence[Event]) -> None:
        """Log the events of one operation."""
        for event in events:
            level = logging.INFO if event.kind.startswith("queue.") else logging.DEBUG
            if self._logger.isEnabledFor(level):
                self._logger.log(level, "%s", _line(event))


def _line(event: Event) -> str:
    words: list[str] = [event.kind]
    if event.queue:
        words.append(f"queue={event.queue}")
    if event.message_id is not None:
        words.append(f"message={event.message_id}")
    if event.count != 1:
        words.append(f"count={event.count}")
    if event.moved_to is not None:
        words.append(f"moved_to={event.moved_to}")
    if event.reason is not None:
        words.append(f"reason={event.reason!r}")
    words.append(f"by={event.subject!r}")
    return " ".join(words)


@hookimpl
def provide_observer(plugin: PluginContext) -> Observer:
    """Log events; on unless `broker.disable` names it."""
    return LogObserver(plugin.logger)
