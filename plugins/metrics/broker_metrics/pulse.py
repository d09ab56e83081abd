"""How late the event loop is: everybody who is served waits as long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from broker import Meter

EVERY_SECONDS = 0.5

LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""The bounds of the buckets, from a loop with nothing to do to one that stood still."""


class Pulse:
    """Sleeps again and again, and records how much longer that took than it should."""

    def __init__(
        self,
        meter: Meter,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._lag = meter.histogram(
            "event_loop_lag_seconds",
            "How late the event loop came to what was due, tried twice a second.",
            LAG_SECONDS,
        )
        self._now = now
        self._sleep = sleep
        self._beating: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin."""
        self._beating = asyncio.ensure_future(self._beat())

    async def close(self) -> None:
        """End; harmless if it was never begun."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])

    async def _beat(self) -> None:
        while True:
            due = self._now() + EVERY_SECONDS
            await self._sleep(EVERY_SECONDS)
            self._lag.record(max(0, self._now() - due))
