"""Where it is counted, as the limiter sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec


class Window(msgspec.Struct, frozen=True, gc=False):
    """So much in so many seconds, sliding."""

    amount: int
    seconds: int

    @property
    def milliseconds(self) -> int:
        """Return how long it is."""
        return self.seconds * 1000


class Claim(msgspec.Struct, frozen=True):
    """What is asked of one limit for one who has it to spend."""

    key: str
    """The limit and whose it is."""
    windows: tuple[Window, ...]
    cost: int


class Count(msgspec.Struct, frozen=True, gc=False):
    """How much of one window is spent: of the fixed window that goes on, and of the one before.

    What counts is `previous * (window_ms - elapsed_ms) // window_ms + current`, in whole numbers:
    the sliding-window counter, rounded down. `sliding.py` is its arithmetic.
    """

    previous: int
    current: int
    elapsed_ms: int
    """How much of the fixed window is over: from 0 to less than `Window.milliseconds`."""


class Counters(ABC):
    """Counts for everybody, in memory or elsewhere."""

    async def open(self) -> None:
        """Begin; raises ConfigError if what it counts in can never be that."""

    async def close(self) -> None:
        """End."""

    def notice(self) -> str | None:
        """Return what whoever starts the broker has to know of it, if there is anything."""
        return None

    async def ping(self) -> None:
        """Raise if nothing can be counted, and so nobody is let through."""

    @abstractmethod
    async def take(self, claims: Sequence[Claim]) -> tuple[bool, list[Count]]:
        """Take the cost of all claims from all of their windows, or nothing if one has not as much
        left. Return whether it was taken, and how each window of each claim stands then; no count
        at all if it lets pass what nobody can count now.

        Raises Unavailable or OSError if it cannot tell now.
        """
