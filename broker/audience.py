"""Who is told of which events."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import translate
from functools import cached_property
from typing import Generic, TypeVar, get_args

import msgspec

from broker.extend import Event, EventKind
from broker.wording import shown

EVENT_KINDS: frozenset[EventKind] = frozenset(
    kind for kind in get_args(EventKind) if kind != "maintenance.done"
)
"""What clients are told of: everything but the broker's upkeep."""

MAX_GLOBS = 50
"""How many globs of one kind one client may give."""

MAX_GLOB = 255

MAX_KNOWN = 256
"""For how many queues a filter knows its answer by heart."""

MAX_ROUTES = 65_536
"""How many routes are known by heart, each listener on one counted."""

L = TypeVar("L")

_GLOB = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{MAX_GLOB}}}\Z")
_SPECIAL = re.compile(r"[*?\[]")


def check_globs(globs: Sequence[str]) -> None:
    """Raise ValueError, which says what was expected, unless one client may give these globs."""
    if len(globs) > MAX_GLOBS:
        raise ValueError(f"expected at most {MAX_GLOBS} globs, received {len(globs)}")
    for glob in globs:
        if not _GLOB.match(glob):
            raise ValueError(
                f"expected globs of 1 to {MAX_GLOB} printable characters, received {shown(glob)}"
            )


class EventFilter(msgspec.Struct, frozen=True, dict=True):
    """Which events of which queues."""

    kinds: frozenset[EventKind] = EVENT_KINDS
    """These kinds of events only."""
    names: frozenset[str] = frozenset()
    """Queues that are named as they are."""
    globs: frozenset[str] = frozenset("*")
    """Queues whose names match one of these."""

    @classmethod
    def of(cls, queues: Iterable[str], kinds: Collection[EventKind]) -> EventFilter:
        """Return the filter for queues of these names or globs, and events of these kinds."""
        globs = frozenset(queues)
        names = frozenset(glob for glob in globs if not _SPECIAL.search(glob))
        return cls(kinds=frozenset(kinds), names=names, globs=globs - names)

    def takes(self, queue: str, kind: EventKind) -> bool:
        """Tell whether an event of this kind in this queue is one of those."""
        return kind in self.kinds and self.covers(queue)

    def covers(self, queue: str) -> bool:
        """Tell whether a queue is one of those."""
        if queue in self.names:
            return True
        known = self._known.get(queue)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[queue] = self._pattern.match(queue) is not None
        return known

    @cached_property
    def _known(self) -> dict[str, bool]:
        # The worst of globs take 3 ms for a long name, and who listens may hear of it often.
        return {}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Made when it is needed: 50 long globs take 50 ms, which strangers shall not have.
        return re.compile("|".join(translate(glob) for glob in self.globs) or r"(?!)")


class Audience(Generic[L]):
    """Listeners, each with the filter of what it wants to be told.

    Who wants what is found out once for each queue and kind of event, so that one who listens
    elsewhere costs whoever tells nothing.
    """

    def __init__(self) -> None:
        self._listeners: dict[L, tuple[int, EventFilter]] = {}
        """Each with the how many-th it was to come; who came last is last."""
        self._came = 0
        self._routes: dict[tuple[str, EventKind], _Route[L]] = {}
        self._taken: dict[L, list[_Route[L]]] = {}
        """The routes that each is in."""
        self._routed = 0

    def __len__(self) -> int:
        return len(self._listeners)

    def __iter__(self) -> Iterator[L]:
        return iter(self._listeners)

    def join(self, listener: L, wants: EventFilter) -> None:
        """Tell one more from now on."""
        # Routes learn of it when they are next taken: most never are, if there were many queues.
        self._came += 1
        self._listeners[listener] = (self._came, wants)

    def leave(self, listener: L) -> None:
        """Tell one less; harmless if it was never told."""
        self._listeners.pop(listener, None)
        for route in self._taken.pop(listener, ()):
            del route.listeners[listener]
            self._routed -= 1

    def of(self, event: Event) -> Mapping[L, None]:
        """Return who is told of an event: a dead letter is one of the queue where it was, and of
        that to which it went. Take no notice of it later: it changes as listeners come and go."""
        if not self._listeners:
            return {}
        listeners = self._route(event.queue, event.kind)
        if event.moved_to is None:
            return listeners
        return listeners | self._route(event.moved_to, event.kind)

    def _route(self, queue: str, kind: EventKind) -> dict[L, None]:
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

    def _teach(self, route: _Route[L], queue: str, kind: EventKind) -> None:
        """Add those to a route who came after it was last taken."""
        for listener, (number, wants) in reversed(self._listeners.items()):
            if number <= route.knows:
                break
            if wants.takes(queue, kind):
                route.listeners[listener] = None
                self._taken.setdefault(listener, []).append(route)
                self._routed += 1
        route.knows = self._came

    def _forget_routes(self) -> None:
        self._routes.clear()
        self._taken.clear()
        self._routed = 0


class _Route(Generic[L]):
    """Who is told of one kind of event in one queue."""

    __slots__ = ("knows", "listeners")

    def __init__(self) -> None:
        self.knows = 0
        """How many had come when this was last taken."""
        self.listeners: dict[L, None] = {}
