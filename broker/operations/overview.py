"""All queues at a glance, looked at once however many want to know."""

from __future__ import annotations

import asyncio

from broker.context import Clock
from broker.models import Overview, QueueStatus, Summary
from broker.operations.paging import pages_of_queues
from broker.operations.summing import sum_up
from broker.storage import Storage

LASTS_MS = 1_000
"""How long a look is good for."""

PAUSE = 4
"""At least so many times as long as a look takes, the storage has peace before the next."""


class Lookout:
    """Looks at all queues of a storage when somebody asks: one look at a time, which is that of all
    who wait for one."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._looking = asyncio.Lock()
        self._begun = 0
        """How many looks there were; the last of them may go on, or have failed."""
        self._seen = 0
        """Which of them is the last that was finished."""
        self._last = Overview(at=0, queues=())
        self._lasts_until = 0
        self._summed: tuple[Overview, Summary] | None = None

    async def overview(self) -> Overview:
        """Return the queues as they are, or were a second ago."""
        async with self._looking:
            if not self._seen or self._clock.now() >= self._lasts_until:
                await self._look()
            return self._last

    async def summary(self) -> Summary:
        """Return the numbers of all queues as they are; whoever asks before a look begins has it
        in common with all others who do."""
        wanted = self._begun + 1  # one that goes on may have missed what is done by now
        async with self._looking:
            if self._seen < wanted:
                await self._look()
            if self._summed is None or self._summed[0] is not self._last:
                self._summed = self._last, await sum_up(self._last.queues)
            return self._summed[1]

    async def _look(self) -> None:
        self._begun += 1
        begun = self._clock.now()
        found: list[QueueStatus] = []
        async for page in pages_of_queues(self._storage, self._clock):
            found += page
        ended = self._clock.now()
        self._last = Overview(at=begun, queues=tuple(found))
        self._seen = self._begun
        self._lasts_until = max(begun + LASTS_MS, ended + PAUSE * (ended - begun))
