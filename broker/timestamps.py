"""Times as people and JSON have them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, overload

from msgspec import Meta

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""A time as JSON has it, which `timestamp` writes."""


@overload
def timestamp(at_ms: int) -> str: ...
@overload
def timestamp(at_ms: int | None) -> str | None: ...
def timestamp(at_ms: int | None) -> str | None:
    """Write milliseconds UTC as RFC 3339, `2026-11-22T21:30:00.000Z`; None stays None."""
    if at_ms is None:
        return None
    return f"{_second(at_ms // 1000)}.{at_ms % 1000:03d}Z"


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
