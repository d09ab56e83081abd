"""How fast it goes: what was counted is looked at now and then, and compared with before."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec

from broker.context import Clock
from broker.errors import BrokerError
from broker.models import Overview, Totals
from broker.status import Rate, Rates, Served

EVERY_MS = 10_000

WINDOWS_MS = (60_000, 300_000, 900_000)

FROM_TOTALS = ("published", "delivered", "acked", "failed")

logger = logging.getLogger("broker.pace")


class Sample(msgspec.Struct, frozen=True):
    """What had been counted by one moment."""

    at: int
    counted: Mapping[str, int]


class Pace:
    """Compares what was counted with what had been 1, 5 and 15 minutes before; remembers a sample
    for every ten seconds of that, and the totals of the queues at the last one."""

    def __init__(
        self, look: Callable[[], Awaitable[Overview]], served: Served, clock: Clock
    ) -> None:
        self._look = look
        self._served = served
        self._clock = clock
        self._samples: deque[Sample] = deque(maxlen=WINDOWS_MS[-1] // EVERY_MS + 1)
        self._totals: dict[int, Totals] = {}

    def rates(self) -> Rates:
        """Return the rates up to the newest sample."""
        one, five, fifteen = map(self._over, WINDOWS_MS)
        return Rates(one_minute=one, five_minutes=five, fifteen_minutes=fifteen)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Take samples while the block runs."""
        task = asyncio.ensure_future(self._sample_again_and_again())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _sample_again_and_again(self) -> None:
        while True:
            begun = self._clock.now()
            try:
                self.sample(await self._look())
            # An isolation point: the next look at the queues may succeed.
            except Exception as error:
                if not isinstance(error, BrokerError):
                    logger.exception("the queues cannot be looked at")
            await self._clock.sleep_until(begun + EVERY_MS)

    def sample(self, overview: Overview) -> None:
        """Remember what was counted by now. A queue that went takes nothing of it away."""
        totals = {one.queue.id: one.totals for one in overview.queues}
        if not self._samples:
            self._totals = totals  # what was counted before the start is no part of any rate
        counted = Counter(self._samples[-1].counted if self._samples else {})
        for queue, now in totals.items():
            before = self._totals.get(queue, _NOTHING)
            if now == before:  # as most are, of many
                continue
            for name in FROM_TOTALS:
                counted[name] += getattr(now, name) - getattr(before, name)
        counted["requests"] = self._served.requests.total()
        self._totals = totals
        self._samples.append(Sample(overview.at, counted))

    def _over(self, window_ms: int) -> Rate | None:
        if not self._samples:
            return None
        newest = self._samples[-1]
        oldest = next(one for one in self._samples if one.at >= newest.at - window_ms)
        seconds = (newest.at - oldest.at) / 1000
        if not seconds:
            return None
        return Rate(
            **{
                f"{name}_per_second": round((count - oldest.counted[name]) / seconds, 3)
                for name, count in newest.counted.items()
            }
        )


_NOTHING = Totals()
