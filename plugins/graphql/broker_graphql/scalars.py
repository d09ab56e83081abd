"""The scalars of the schema that are not GraphQL's own: how they are read and written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from broker import timestamp

MAX_LONG = 2**53 - 1
"""The largest whole number that JSON carries exactly to every client (RFC 8259, section 6)."""


class ScalarForm(msgspec.Struct, frozen=True):
    """How values of one scalar come and go as JSON; either function raises ValueError."""

    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


def read_long(value: Any) -> int:
    """Return what a client sent as a Long; as with Int, 3.0 is a whole number, too."""
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if not is_whole or isinstance(value, bool) or abs(value) > MAX_LONG:
        raise ValueError(f"expected a whole number from -{MAX_LONG} to {MAX_LONG}")
    return int(value)


def read_date_time(_: Any) -> int:
    """Refuse: the schema takes no moments."""
    raise ValueError("moments are told, and not taken")


SCALARS = {
    "DateTime": ScalarForm(read_date_time, timestamp),
    "Long": ScalarForm(read_long, int),
}
