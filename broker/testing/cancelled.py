"""Callers that go away: what they asked for is cancelled after some turns of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

at_every_turn = pytest.mark.parametrize("turns", range(5))
"""Runs a test once for each number of turns after which something may be cancelled."""


async def cancel(work: Coroutine[Any, Any, T], turns: int) -> T | None:
    """Begin the work, let the loop turn this often, cancel it, and let it end.

    Return what it returned, if it came that far, else None.
    """
    task = asyncio.create_task(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return None if task.cancelled() else task.result()
