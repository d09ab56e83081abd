"""How much in which time, as people write it."""

from __future__ import annotations

import re

from limits import parse

from broker_ratelimit.counters import Window

EXAMPLES = '"10/minute", or "200/second; 5000/minute"'

MOST = 1_000_000_000
YEAR = 366 * 24 * 60 * 60

# The library's own expression takes whatever follows the first rate, and "10/0second" for
# "10/second".
_RATE = re.compile(r"([0-9]+) *(?:/| per ) *([0-9]*) *([A-Za-z]+)")


def read_rate(text: str) -> tuple[Window, ...]:
    """Read the windows of `200/second; 5000/minute`, the shortest first.

    Raises ValueError, which says what is wrong with it.
    """
    windows = sorted(map(_read_window, split_rate(text)), key=lambda window: window.seconds)
    seconds = [window.seconds for window in windows]
    for twice in set(seconds):
        if seconds.count(twice) > 1:
            raise ValueError(f"says twice how much in {twice} s")
    return tuple(windows)


def split_rate(text: str) -> list[str]:
    """Return the single rates of one that says several."""
    return [part.strip(" ") for part in re.split("[;,|]", text)]


def _read_window(text: str) -> Window:
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(f"expected for example {EXAMPLES}")
    amount, multiples, unit = found.groups()
    try:
        seconds = parse(f"1/{unit}").get_expiry()
    except ValueError as error:
        raise ValueError("expected second, minute, hour, day, month or year") from error
    # Python itself reads no number of thousands of digits.
    most, longest = len(str(MOST)), len(str(YEAR))
    if len(amount) > most or not 1 <= int(amount) <= MOST:
        raise ValueError(f"expected an amount from 1 to {MOST}")
    if len(multiples) > longest or not 1 <= int(multiples or 1) * seconds <= YEAR:
        raise ValueError("expected a time from a second to a year")
    return Window(int(amount), int(multiples or 1) * seconds)
