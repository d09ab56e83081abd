"""What a client wants to be told of: globs of queues and of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from broker import EVENT_KINDS, EventFilter, EventKind, Malformed, check_globs

MAX_SHOWN = 80

STATS = "stats"
"""The event that nobody gets who does not name it."""

MESSAGE_KINDS: frozenset[EventKind] = frozenset(
    kind for kind in EVENT_KINDS if kind.startswith("message.")
)


class Filter(EventFilter, frozen=True, dict=True):
    """Which events of which queues, and whether stats of those queues."""

    stats: bool = False

    @classmethod
    def of_messages(cls, queue: str) -> Filter:
        """Return the filter for what happens to the messages of one queue."""
        return cls(kinds=MESSAGE_KINDS, names=frozenset([queue]), globs=frozenset())


def read_filter(query: Mapping[str, Sequence[str]]) -> Filter:
    """Read what a query asks for, everything if it names nothing; raises Malformed."""
    queues = _read_globs(query, "queue")
    events = _read_globs(query, "event")
    asked = EventFilter.of(queues or "*", _kinds(events - {STATS}) if events else EVENT_KINDS)
    return Filter(kinds=asked.kinds, names=asked.names, globs=asked.globs, stats=STATS in events)


def shown(text: str) -> str:
    """Return what a client wrote as an error can show it: in quotes, escaped, not all too long."""
    escaped = ascii(text[:MAX_SHOWN])[1:-1]
    return f'"{escaped}"' if len(text) <= MAX_SHOWN else f'"{escaped}…"'


def _read_globs(query: Mapping[str, Sequence[str]], name: str) -> frozenset[str]:
    globs = [glob for value in query.get(name, ()) for glob in value.split(",")]
    try:
        check_globs(globs)
    except ValueError as error:
        raise Malformed(f"{name}: {error}") from error
    return frozenset(globs)


def _kinds(globs: frozenset[str]) -> frozenset[EventKind]:
    kinds: set[EventKind] = set()
    for glob in globs:
        matching = {kind for kind in EVENT_KINDS if fnmatchcase(kind, glob)}
        if not matching:
            allowed = ", ".join(sorted((*EVENT_KINDS, STATS)))
            raise Malformed(f"no event is called {shown(glob)}; there are {allowed}")
        kinds |= matching
    return frozenset(kinds)
