"""Counting in the memory of one broker."""

from __future__ import annotations

from collections.abc import Sequence

from broker import Clock

from broker_ratelimit.counters import Claim, Count, Counters, Window
from broker_ratelimit.sliding import spent


class MemoryCounters(Counters):
    """Counts for one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, Window, int], int] = {}

    async def take(self, claims: Sequence[Claim]) -> tuple[bool, list[Count]]:
        """Take all or nothing."""
        now = self._clock.now()
        places = [(claim, window) for claim in claims for window in claim.windows]
        counts = [self._count(claim.key, window, now) for claim, window in places]
        if any(
            spent(window, count) + claim.cost > window.amount
            for (claim, window), count in zip(places, counts, strict=True)
        ):
            return False, counts
        for claim, window in places:
            place = (claim.key, window, now // window.milliseconds)
            self._counts[place] = self._counts.get(place, 0) + claim.cost
        return True, [self._count(claim.key, window, now) for claim, window in places]

    def _count(self, key: str, window: Window, now: int) -> Count:
        number, elapsed_ms = divmod(now, window.milliseconds)
        return Count(
            self._counts.get((key, window, number - 1), 0),
            self._counts.get((key, window, number), 0),
            elapsed_ms,
        )
