"""Times as people, JSON and tokens have them; elsewhere they are milliseconds UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec

END_OF_TIME = 253_402_300_799
"""The last second of the year 9999; what names a later one is not valid."""

Seconds = Annotated[int, msgspec.Meta(ge=0, le=END_OF_TIME)]
"""Since 1970 (the NumericDate of RFC 7519), whole ones as the broker writes them."""


def moment(at: int | None) -> datetime | None:
    """Return a time in milliseconds UTC as one that JSON shows by RFC 3339; None for None."""
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC)


def rfc3339(at: int) -> str:
    """Return a time in milliseconds UTC as RFC 3339 has it, to the millisecond."""
    when = datetime.fromtimestamp(at / 1000, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
