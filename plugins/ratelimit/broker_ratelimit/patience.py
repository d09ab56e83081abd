"""Waiting for an answer, without blaming its sender for what kept us from hearing it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LOOKS = 5
"""How often the event loop has to have looked for an answer before there is none."""


@asynccontextmanager
async def answer_within(seconds: float) -> AsyncIterator[None]:
    """Raise TimeoutError when the block takes longer, as `asyncio.timeout` does, but not before
    the event loop has come round several times: a crowd that comes at once can keep it busy for
    longer than that, while the answer is there to be read."""
    loop = asyncio.get_running_loop()
    looks_left = LOOKS
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal looks_left, timer
        looks_left -= 1
        if looks_left:
            timer = loop.call_later(seconds / LOOKS, look)
        else:
            limit.reschedule(loop.time())

    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(seconds / LOOKS, look)
        try:
            yield
        finally:
            timer.cancel()
