"""What a client wants to be told of: globs of queues and of events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase, translate
from functools import cached_property
from typing import get_args

import msgspec
from broker import EventKind, Malformed

MAX_GLOBS = 50
"""How many globs of queues, and how many of events, one client may give."""

MAX_GLOB = 255

MAX_KNOWN = 256
"""For how many queues a filter knows its answer by heart."""

MAX_SHOWN = 80

STATS = "stats"
"""The event that nobody gets who does not name it."""

KINDS: frozenset[EventKind] = frozenset(
    kind for kind in get_args(EventKind) if kind != "maintenance.done"
)
"""What clients can be told of."""

MESSAGE_KINDS: frozenset[EventKind] = frozenset(
    kind for kind in KINDS if kind.startswith("message.")
)

_GLOB = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{MAX_GLOB}}}\Z")
_SPECIAL = re.compile(r"[*?\[]")


class Filter(msgspec.Struct, frozen=True, dict=True):
    """Which events of which queues, and whether stats of those queues."""

    kinds: frozenset[EventKind] = KINDS
    names: frozenset[str] = frozenset()
    """Queues that are named as they are."""
    globs: frozenset[str] = frozenset("*")
    stats: bool = False

    @classmethod
    def of_messages(cls, queue: str) -> Filter:
        """Return the filter for what happens to the messages of one queue."""
        return cls(kinds=MESSAGE_KINDS, names=frozenset([queue]), globs=frozenset())

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
        # The worst of globs take 3 ms for a long name, and a history may name it 10 000 times.
        return {}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Made when it is needed: 50 long globs take 50 ms, which strangers shall not have.
        return re.compile("|".join(translate(glob) for glob in self.globs) or r"(?!)")


def read_filter(query: Mapping[str, Sequence[str]]) -> Filter:
    """Read what a query asks for, everything if it names nothing; raises Malformed."""
    queues = _read_globs(query, "queue")
    events = _read_globs(query, "event")
    if not queues:
        queues = frozenset("*")
    names = frozenset(glob for glob in queues if not _SPECIAL.search(glob))
    return Filter(
        kinds=_kinds(events - {STATS}) if events else KINDS,
        names=names,
        globs=queues - names,
        stats=STATS in events,
    )


def shown(text: str) -> str:
    """Return what a client wrote as an error can show it: in quotes, escaped, not all too long."""
    escaped = ascii(text[:MAX_SHOWN])[1:-1]
    return f'"{escaped}"' if len(text) <= MAX_SHOWN else f'"{escaped}…"'


def _read_globs(query: Mapping[str, Sequence[str]], name: str) -> frozenset[str]:
    globs = [glob for value in query.get(name, ()) for glob in value.split(",")]
    if len(globs) > MAX_GLOBS:
        raise Malformed(f'expected at most {MAX_GLOBS} globs in "{name}", received {len(globs)}')
    for glob in globs:
        if not _GLOB.match(glob):
            raise Malformed(
                f'expected globs of 1 to {MAX_GLOB} printable characters in "{name}", '
                f"received {shown(glob)}"
            )
    return frozenset(globs)


def _kinds(globs: frozenset[str]) -> frozenset[EventKind]:
    kinds: set[EventKind] = set()
    for glob in globs:
        matching = {kind for kind in KINDS if fnmatchcase(kind, glob)}
        if not matching:
            allowed = ", ".join(sorted((*KINDS, STATS)))
            raise Malformed(f"no event is called {shown(glob)}; there are {allowed}")
        kinds |= matching
    return frozenset(kinds)
