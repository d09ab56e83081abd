"""How fast it goes: what was counted is looked at now and then, and compared with before."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec

from broker.context import Clock
from broker.errors import BrokerError
from broker.models import Overview, Totals
from broker.status import Rate, Rates, Served

EVERY_MS = 10_000

WINDOWS_MS = (60_000, 300_000, 900_000)

MOST_SAMPLES = WINDOWS_MS[-1] // EVERY_MS + 2
"""So many that one is older than the longest window, wherever between two others that begins."""

AT_ONCE = 1000
"""How many queues are compared before others get their turn: about 1 ms."""

FROM_TOTALS = ("published", "delivered", "acked", "failed")

logger = logging.getLogger("broker.pace")


class Sample(msgspec.Struct, frozen=True):
    """What had been counted by one moment."""

    at: int
    counted: Mapping[str, int]


class Samples:
    """What had been counted by one moment after the other, as far back as the longest window."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=MOST_SAMPLES)

    @property
    def last(self) -> Sample | None:
        """The newest."""
        return self._samples[-1] if self._samples else None

    def add(self, at: int, counted: Mapping[str, int]) -> None:
        """Remember what was counted by a moment that comes after all others."""
        self._samples.append(Sample(at, counted))

    def rates(self, window_ms: int) -> dict[str, float]:
        """Return what was counted a second, since the start of the window or, if that was later, of
        the samples; nothing before there are two."""
        newest = self.last
        if newest is None:
            return {}
        begin = newest.at - window_ms
        oldest = self._samples[0]
        for sample in self._samples:
            if sample.at > begin:
                break
            oldest = sample
        seconds = (newest.at - oldest.at) / 1000
        if not seconds:
            return {}
        return {
            name: round((count - oldest.counted[name]) / seconds, 3)
            for name, count in newest.counted.items()
        }


class Pace:
    """Compares what was counted with what had been 1, 5 and 15 minutes before; remembers a sample
    for every ten seconds of that, and the totals of the queues at the last one."""

    def __init__(
        self, look: Callable[[], Awaitable[Overview]], served: Served, clock: Clock
    ) -> None:
        self._look = look
        self._served = served
        self._clock = clock
        self._requests = Samples()
        self._messages = Samples()  # apart, for an overview can be older than the moment
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
                await self.sample()
            # An isolation point: the next look at the queues may succeed.
            except Exception as error:
                if not isinstance(error, BrokerError):
                    logger.exception("the queues cannot be looked at")
            await self._clock.sleep_until(begun + EVERY_MS)

    async def sample(self) -> None:
        """Remember what was counted by now. A queue that went, or counts anew, takes nothing of it
        away."""
        self._requests.add(self._clock.now(), {"requests": self._served.requests().total()})
        overview = await self._look()
        last = self._messages.last
        if last is not None and last.at == overview.at:  # of a slow storage, say
            return
        counted = dict(last.counted) if last else dict.fromkeys(FROM_TOTALS, 0)
        totals: dict[int, Totals] = {}
        for start in range(0, len(overview.queues), AT_ONCE):
            for one in overview.queues[start : start + AT_ONCE]:
                totals[one.queue.id] = one.totals
                if last is not None:  # what was before the start is no part of any rate
                    _count_on(counted, self._totals.get(one.queue.id, _NOTHING), one.totals)
            await asyncio.sleep(0)
        self._totals = totals
        self._messages.add(overview.at, counted)

    def _over(self, window_ms: int) -> Rate | None:
        requests, messages = self._requests.rates(window_ms), self._messages.rates(window_ms)
        if not (requests and messages):
            return None
        rates = {**requests, **messages}
        return Rate(**{f"{name}_per_second": rate for name, rate in rates.items()})


def _count_on(counted: dict[str, int], before: Totals, now: Totals) -> None:
    if now == before:  # as most are, of many
        return
    for name in FROM_TOTALS:
        counted[name] += max(0, getattr(now, name) - getattr(before, name))


_NOTHING = Totals()
