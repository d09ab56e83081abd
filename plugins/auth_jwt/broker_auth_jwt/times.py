"""Times as tokens have them; elsewhere they are milliseconds UTC."""

from __future__ import annotations

from typing import Annotated

import msgspec

END_OF_TIME = 253_402_300_799
"""The last second of the year 9999; what names a later one is not valid."""

Seconds = Annotated[int, msgspec.Meta(ge=0, le=END_OF_TIME)]
"""Since 1970 (the NumericDate of RFC 7519), whole ones as the broker writes them."""
