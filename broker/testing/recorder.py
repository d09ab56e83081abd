"""An observer that keeps what it is told."""

from __future__ import annotations

from collections.abc import Sequence

from broker.extend import Event, EventKind, Observer


class Recorder(Observer):
    """Keeps the events that a broker tells, in their order."""

    in_loop = True

    def __init__(self) -> None:
        self.events: list[Event] = []
        """What it was told."""

    def notify(self, events: Sequence[Event]) -> None:
        """Keep the events of one operation."""
        self.events += events

    def told(self, queue: str | None = None) -> list[EventKind]:
        """Return which kinds of events there were, of one queue or of all."""
        return [event.kind for event in self.events if queue is None or queue in event.queues]
