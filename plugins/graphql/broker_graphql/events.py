"""What happens in the broker, told to those who subscribed to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

from broker import EVENT_KINDS, Audience, Event, Observer


class Listener(Protocol):
    """Who subscribed."""

    def offer(self, events: Sequence[Event]) -> None:
        """Take what one operation brought of what this one asked for."""


class Events(Observer):
    """Hears of everything that clients may be told, and tells those who asked for it."""

    in_loop = True
    kinds = EVENT_KINDS

    def __init__(self) -> None:
        self.audience: Audience[Listener] = Audience()
        self.evicted = 0
        """How many were dropped because they took too little."""

    def notify(self, events: Sequence[Event]) -> None:
        """Tell of the events of one operation, in this order."""
        if not self.audience:
            return
        shares: dict[Listener, list[Event]] = defaultdict(list)
        for event in events:
            for listener in self.audience.of(event):
                shares[listener].append(event)
        for listener, share in shares.items():
            listener.offer(share)
