"""Events as operations bring them: one of a kind, and whatever could happen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from broker.extend import Event, EventKind

LAST = 253_402_300_799_999
"""The end of the year 9999, after which many a calendar has nothing."""

KINDS: tuple[EventKind, ...] = get_args(EventKind)


def event(kind: EventKind = "message.published", **fields: Any) -> Event:
    """Return an event as an operation brings it."""
    filled = {"queue": "q", "at": 1_700_000_000_000, "subject": "ann", "message_id": 1, **fields}
    return Event(kind=kind, **filled)


_text = st.text(st.characters(codec="utf-8"), max_size=40)
_numbers = st.integers(0, 2**63 - 1)


def operations(kinds: Sequence[EventKind]) -> SearchStrategy[list[Event]]:
    """Draw the events of operations, all of these kinds."""
    drawn = st.builds(
        Event,
        kind=st.sampled_from(kinds),
        queue=st.sampled_from(["", "q", "a.b-c_d", "x" * 255]),
        at=st.integers(0, LAST),
        subject=_text,
        peer=st.sampled_from(["", "192.0.2.1", "2001:db8::1", "@"]),
        message_id=st.none() | _numbers,
        count=_numbers,
        state=st.sampled_from([None, "pending", "processing", "processed", "failed"]),
        moved_to=st.sampled_from([None, "dead"]),
        reason=st.none() | _text,
    )
    return st.lists(drawn, min_size=1, max_size=5)
