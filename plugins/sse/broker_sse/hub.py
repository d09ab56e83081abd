"""The hub: who listens to what, and what they missed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from broker_sse.entry import Entry


class Subscriber(Protocol):
    """Who listens."""

    def offer(self, entry: Entry) -> None:
        """Take an event, if it is one of those that this one asked for."""


class Hub:
    """Tells subscribers of entries, and keeps the newest for those who come back."""

    def __init__(self, *, history: int, buffer: int) -> None:
        self.buffer = buffer
        self._history: deque[Entry] = deque(maxlen=history)
        self._subscribers: dict[Subscriber, None] = {}

    def tell(self, entries: Sequence[Entry]) -> None:
        """Tell everybody, in this order."""
        for entry in entries:
            self._history.append(entry)
            for subscriber in self._subscribers:
                subscriber.offer(entry)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell one more from now on."""
        self._subscribers[subscriber] = None

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Tell one less; harmless if it was never told."""
        self._subscribers.pop(subscriber, None)
