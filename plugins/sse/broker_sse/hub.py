"""The hub: who listens to what, and what they missed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from broker import Audience

from broker_sse.entry import Entry, EventId
from broker_sse.filters import Filter
from broker_sse.history import History

FEW = 1_000
"""Of how many events everybody may be noted without that being what costs."""


class Subscriber(Protocol):
    """Who listens."""

    wants: Filter

    def offer(self, entries: Sequence[Entry]) -> None:
        """Take what one operation brought of what this one asked for."""

    def announce_gap(self, reason: str) -> None:
        """Take it that something may be missing between what came and what comes."""

    def note_place(self) -> None:
        """Take it that much was told since, though perhaps nothing that this one asked for."""


class Hub:
    """Tells subscribers of entries, and keeps the newest for those who come back.

    A subscriber of other queues costs a publisher nothing.
    """

    def __init__(self, *, history: int, buffer: int) -> None:
        self.buffer = buffer
        self.history = History(history)
        self._note_every = max(FEW, history // 4)
        self._subscribers: Audience[Subscriber] = Audience()
        self.evicted = 0
        """How many were dropped because they took too little."""

    def __len__(self) -> int:
        return len(self._subscribers)

    def begin(self, entries: Iterable[Entry], *, before: EventId) -> None:
        """Have a history, of which nobody is told: what came after `before` until now."""
        self.history.begin(before)
        for entry in entries:
            self.history.add(entry)

    def tell(self, entries: Sequence[Entry]) -> None:
        """Tell everybody who asked for it what one operation brought, in this order."""
        end = self.history.end
        for entry in entries:
            self.history.add(entry)
        if len(entries) == 1:
            for subscriber in self._subscribers.of(entries[0].event):
                subscriber.offer(entries)
        else:
            self._share_out(entries)
        if end // self._note_every != self.history.end // self._note_every:
            for subscriber in self._subscribers:
                subscriber.note_place()

    def announce_gap(self, reason: str) -> None:
        """Tell everybody that something may be missing between what came and what comes, and
        those who come back to what came before."""
        self.history.mark_gap()
        for subscriber in self._subscribers:
            subscriber.announce_gap(reason)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell one more from now on."""
        self._subscribers.join(subscriber, subscriber.wants)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Tell one less; harmless if it was never told."""
        self._subscribers.leave(subscriber)

    def _share_out(self, entries: Sequence[Entry]) -> None:
        shares: dict[Subscriber, list[Entry]] = defaultdict(list)
        for entry in entries:
            for subscriber in self._subscribers.of(entry.event):
                shares[subscriber].append(entry)
        for subscriber, share in shares.items():
            subscriber.offer(share)
