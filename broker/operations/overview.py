"""All queues at a glance, looked at once however many want to know."""

from __future__ import annotations

import asyncio

from broker.context import Clock
from broker.models import Overview, QueueStatus
from broker.storage import Storage

PAGE = 1000

LASTS_MS = 1_000
"""How long a look is good for."""

PAUSE = 4
"""At least so many times as long as a look takes, the storage has peace before the next."""


class Lookout:
    """Looks at all queues of a storage when somebody asks, and the last look is too old."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._looking = asyncio.Lock()
        self._last: Overview | None = None
        self._lasts_until = 0

    async def overview(self) -> Overview:
        """Return the queues as they are, or were a second ago; who asks while others wait for an
        answer gets theirs."""
        async with self._looking:
            begun = self._clock.now()
            if self._last is None or begun >= self._lasts_until:
                self._last = Overview(at=begun, queues=tuple(await self._look()))
                ended = self._clock.now()
                self._lasts_until = max(begun + LASTS_MS, ended + PAUSE * (ended - begun))
            return self._last

    async def _look(self) -> list[QueueStatus]:
        found: list[QueueStatus] = []
        after = None
        while True:
            page = await self._storage.get_queues(after=after, limit=PAGE, now=self._clock.now())
            found += page
            if len(page) < PAGE:
                return found
            await asyncio.sleep(0)  # a storage in memory answers at once, and others wait
            after = page[-1].queue.name
