"""Counting in the memory of one broker."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from broker import Clock, Timer

from broker_ratelimit.counters import Claim, Count, Counters, Window
from broker_ratelimit.sliding import spent

SWEEP_MS = 1000
"""How often it is looked for what is not counted any more."""

PIECE = 2000
"""How many keys are forgotten at once: in less than a millisecond."""

PAUSE_MS = 10
"""How long others may run between two pieces."""


class MemoryCounters(Counters):
    """Counts for one process, in two dicts for each length of window.

    When a window is over, the dict of the one before is forgotten as a whole. So no check ever
    looks at another key than its own.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ledgers: dict[int, _Ledger] = {}
        self._over: deque[dict[str, int]] = deque()
        self._timer: Timer | None = None

    async def open(self) -> None:
        """Begin to forget what is not counted any more."""
        self._sweep()

    async def close(self) -> None:
        """Forget everything."""
        if self._timer is not None:
            self._timer.cancel()
        self._ledgers.clear()
        self._over.clear()

    async def take(self, claims: Sequence[Claim]) -> tuple[bool, list[Count]]:
        """Take all or nothing."""
        now = self._clock.now()
        ledgers, counts, fits = [], [], True
        for claim in claims:
            for window in claim.windows:
                ledger = self._ledger(window, now)
                count = ledger.count(claim.key, now)
                fits = fits and spent(window, count) + claim.cost <= window.amount
                ledgers.append((ledger, claim))
                counts.append(count)
        if not fits:
            return False, counts
        return True, [
            ledger.add(claim, count) for (ledger, claim), count in zip(ledgers, counts, strict=True)
        ]

    def _ledger(self, window: Window, now: int) -> _Ledger:
        ledger = self._ledgers.get(window.seconds)
        if ledger is None:
            ledger = self._ledgers[window.seconds] = _Ledger(window.milliseconds)
        if now >= ledger.end:
            self._over += ledger.turn(now)
        return ledger

    def _sweep(self) -> None:
        now = self._clock.now()
        for ledger in self._ledgers.values():
            if now >= ledger.end:
                self._over += ledger.turn(now)
        if self._over:
            # Piece by piece: to forget a million keys at once can take a tenth of a second.
            counts = self._over[0]
            for _ in range(min(PIECE, len(counts))):
                counts.popitem()
            if not counts:
                self._over.popleft()
        self._timer = self._clock.call_at(now + (PAUSE_MS if self._over else SWEEP_MS), self._sweep)


class _Ledger:
    """What was spent in the window that goes on, and in the one before, by key."""

    __slots__ = ("_current", "_length", "_previous", "end")

    def __init__(self, length: int) -> None:
        self._length = length
        self._previous: dict[str, int] = {}
        self._current: dict[str, int] = {}
        self.end = 0
        """When the window that goes on is over. The clock never goes back."""

    def turn(self, now: int) -> list[dict[str, int]]:
        """Go on to the window of this time; return what is not counted any more."""
        over = [self._previous]
        self._previous, self._current = self._current, {}
        if now >= self.end + self._length:
            over.append(self._previous)
            self._previous = {}
        self.end = now - now % self._length + self._length
        return [counts for counts in over if counts]

    def count(self, key: str, now: int) -> Count:
        """Return how a key stands."""
        elapsed_ms = self._length - (self.end - now)
        return Count(self._previous.get(key, 0), self._current.get(key, 0), elapsed_ms)

    def add(self, claim: Claim, count: Count) -> Count:
        """Take what is claimed of what stands so; return how it stands then."""
        current = self._current[claim.key] = count.current + claim.cost
        return Count(count.previous, current, count.elapsed_ms)
