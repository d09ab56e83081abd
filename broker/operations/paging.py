"""All queues of a storage, page by page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from broker.context import Clock
from broker.models import QueueStatus
from broker.storage import Storage

PAGE = 1000
"""How many queues one call of the storage lists."""


async def pages_of_queues(
    storage: Storage, clock: Clock, *, prefix: str = "", after: str | None = None
) -> AsyncGenerator[Sequence[QueueStatus]]:
    """Yield the queues with this prefix, by name, those that come after a name."""
    while True:
        page = await storage.get_queues(prefix=prefix, after=after, limit=PAGE, now=clock.now())
        yield page
        if len(page) < PAGE:
            return
        await asyncio.sleep(0)  # a storage in memory answers at once, and others wait
        after = page[-1].queue.name
