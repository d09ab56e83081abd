"""A clock for tests: time passes when the test says so."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextvars import Context
from itertools import count

from broker.context import Clock, Timer

START = 1_700_000_000_000
"""2023-11-14T22:13:20Z, where every manual clock starts."""


class ManualClock(Clock):
    """Stands still until `advance` moves it, and makes due calls on the way."""

    def __init__(self, start: int = START) -> None:
        self._now = start
        self._timers: list[tuple[int, int, _ManualTimer]] = []
        self._numbers = count()

    def now(self) -> int:
        """Return milliseconds UTC since 1970, as far as this clock was advanced."""
        return self._now

    def call_at(self, when: int, callback: Callable[[], None]) -> Timer:
        """Call back while `advance` passes `when`; what is due already, on the next loop turn."""
        if when <= self._now:
            return asyncio.get_running_loop().call_soon(callback, context=Context())
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move the time forward; make the calls that become due in the order of their times.

        During each call `now()` is the time it was meant for. Tasks that a call wakes run at the
        next await of the test.
        """
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds} s")
        target = self._now + round(seconds * 1000)
        while self._timers and self._timers[0][0] <= target:
            self._now, _, timer = heapq.heappop(self._timers)
            timer.fire()
        self._now = target


class _ManualTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        if self._callback is not None:
            Context().run(self._callback)
