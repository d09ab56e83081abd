"""Milliseconds UTC as people and JSON have them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(at: int | None) -> datetime | None:
    """Return a time in milliseconds UTC as one that JSON shows by RFC 3339; None for None."""
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC)


def rfc3339(at: int) -> str:
    """Return a time in milliseconds UTC as RFC 3339 has it, to the millisecond."""
    when = datetime.fromtimestamp(at / 1000, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
