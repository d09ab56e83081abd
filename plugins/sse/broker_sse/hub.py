"""The hub: who listens to what, and what they missed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from broker import Event, EventKind

from broker_sse.entry import Entry, EventId
from broker_sse.filters import Filter
from broker_sse.history import History

MAX_ROUTES = 65_536
"""How many routes are known by heart, each subscriber on one counted."""

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

    Who asked for what is found out once for each queue and kind of event, so that a subscriber of
    other queues costs a publisher nothing.
    """

    def __init__(self, *, history: int, buffer: int) -> None:
        self.buffer = buffer
        self.history = History(history)
        self._note_every = max(FEW, history // 4)
        self._subscribers: dict[Subscriber, int] = {}
        """Each with the how many-th it was to come; who came last is last."""
        self._came = 0
        self._routes: dict[tuple[str, EventKind], _Route] = {}
        self._taken: dict[Subscriber, list[_Route]] = {}
        """The routes that each is in."""
        self._routed = 0

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
            for subscriber in self._listeners(entries[0].event):
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
        # Routes learn of it when they are next taken: most never are, if there were many queues.
        self._came += 1
        self._subscribers[subscriber] = self._came

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Tell one less; harmless if it was never told."""
        self._subscribers.pop(subscriber, None)
        for route in self._taken.pop(subscriber, ()):
            del route.listeners[subscriber]
            self._routed -= 1

    def _share_out(self, entries: Sequence[Entry]) -> None:
        shares: dict[Subscriber, list[Entry]] = defaultdict(list)
        for entry in entries:
            for subscriber in self._listeners(entry.event):
                shares[subscriber].append(entry)
        for subscriber, share in shares.items():
            subscriber.offer(share)

    def _listeners(self, event: Event) -> Mapping[Subscriber, None]:
        listeners = self._route(event.queue, event.kind)
        if event.moved_to is None:
            return listeners
        return listeners | self._route(event.moved_to, event.kind)

    def _route(self, queue: str, kind: EventKind) -> dict[Subscriber, None]:
        route = self._routes.get((queue, kind))
        if route is not None and route.knows == self._came:
            return route.listeners
        if self._routed >= MAX_ROUTES:
            self._forget_routes()
            route = None
        if route is None:
            route = self._routes[queue, kind] = _Route()
            self._routed += 1
        self._teach(route, queue, kind)
        return route.listeners

    def _teach(self, route: _Route, queue: str, kind: EventKind) -> None:
        """Add those to a route who came after it was last taken."""
        for subscriber, number in reversed(self._subscribers.items()):
            if number <= route.knows:
                break
            if subscriber.wants.takes(queue, kind):
                route.listeners[subscriber] = None
                self._taken.setdefault(subscriber, []).append(route)
                self._routed += 1
        route.knows = self._came

    def _forget_routes(self) -> None:
        self._routes.clear()
        self._taken.clear()
        self._routed = 0


class _Route:
    """Who is told of one kind of event in one queue."""

    __slots__ = ("knows", "listeners")

    def __init__(self) -> None:
        self.knows = 0
        """How many had come when this was last taken."""
        self.listeners: dict[Subscriber, None] = {}
