"""Durations as people write them."""

from __future__ import annotations

import re

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhdw]?)")


def read_duration(text: str) -> float:
    """Return the seconds in a text like `90`, `45s`, `1.5h`, `7d` or `2w`; raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected a duration, 45s, 12h or 7d for example; got {text!r}")
    return float(found[1]) * _SECONDS[found[2]]
