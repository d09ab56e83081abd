"""How many queues there are, so that there are never more than there may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broker.context import Clock
from broker.errors import TooManyQueues
from broker.operations.paging import pages_of_queues
from broker.storage import Storage

SHARED_COUNT_MS = 1000
"""How long a count is believed when other processes may make and drop queues."""


class Census:
    """Counts the queues of a storage when the first is made, and keeps the count from then on.

    With a shared storage it is taken anew every second in which queues are made; so what other
    brokers make within one second may exceed `most`.
    """

    def __init__(self, storage: Storage, clock: Clock, *, most: int) -> None:
        self._storage = storage
        self._clock = clock
        self._most = most
        self._lasts = "shared" not in storage.capabilities
        self._count: int | None = None
        self._believed_until = 0
        self._being_made = 0
        self._has_changed = False
        self._counting = asyncio.Lock()

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Keep room for the queue that the block makes, if it does; raises TooManyQueues."""
        if await self._known() + self._being_made >= self._most:
            raise TooManyQueues(self._most)
        self._being_made += 1
        try:
            yield
        finally:
            self._being_made -= 1

    def note(self, change: int) -> None:
        """Take note that a queue was made (1) or dropped (-1)."""
        self._has_changed = True
        if self._count is not None:
            self._count += change

    async def _known(self) -> int:
        if self._count is None or not self._is_believed():
            async with self._counting:
                # Whoever waited for it may find that another has counted.
                while self._count is None or not self._is_believed():
                    await self._take()
        return self._count

    def _is_believed(self) -> bool:
        return self._lasts or self._clock.now() < self._believed_until

    async def _take(self) -> None:
        """Count, unless that is disturbed: a page may be from before a change or from after it."""
        self._has_changed = False
        count = 0
        async for page in pages_of_queues(self._storage, self._clock):
            count += len(page)
        if not self._has_changed:
            self._count = count
            self._believed_until = self._clock.now() + SHARED_COUNT_MS
