"""Upkeep: asking the storage again and again to do what time brings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter

from broker.errors import PluginFailure, StorageFailed
from broker.models import Maintenance
from broker.operations.runtime import BROKER, Runtime

CHUNK = 1000
"""Messages in one call, so that others get their turn."""

IDLE_MS = 1_000
"""The longest pause; what became due meanwhile is leased in time without upkeep."""

BUSY_MS = 50
"""The shortest pause."""

FAILED_MS = 5_000

logger = logging.getLogger("broker.maintenance")


@asynccontextmanager
async def maintained(runtime: Runtime, turn: Callable[[], None]) -> AsyncIterator[None]:
    """Keep the storage maintained while the block runs; `turn` is called each time round."""
    task = asyncio.ensure_future(_maintain(runtime, turn))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _maintain(runtime: Runtime, turn: Callable[[], None]) -> None:
    while True:
        turn()
        now, begun = runtime.clock.now(), perf_counter()
        try:
            done = await runtime.tasks.finish(runtime.storage.maintain(now=now, limit=CHUNK))
            runtime.instruments.upkeep_seconds.record(perf_counter() - begun)
            report(runtime, done)
        except StorageFailed:
            return
        # An isolation point: a storage that fails now may work again, and upkeep must go on then.
        except Exception as error:  # noqa: BLE001  # of which the log is told
            _tell("the storage could not be maintained", error)
            runtime.instruments.upkeep_failures.add()
            pause = FAILED_MS
        else:
            due = done.next_due
            pause = IDLE_MS if due is None else min(max(due - now, BUSY_MS), IDLE_MS)
        await runtime.clock.sleep_until(runtime.clock.now() + pause)


def report(runtime: Runtime, done: Maintenance) -> None:
    """Wake those for whom upkeep brought work, and tell the observers."""
    for queue, count in done.lapsed.items():
        runtime.waiting.wake(queue, count)
    for one in done.ended:
        # The next of its group may be leased now.
        runtime.waiting.wake(one.queue)
    runtime.note_ended(BROKER, done.ended)
    count = sum(done.lapsed.values()) + len(done.ended) + done.retired
    if count:
        runtime.observe(BROKER, "maintenance.done", "", count=count)


@asynccontextmanager
async def watched(runtime: Runtime) -> AsyncIterator[None]:
    """Wake waiters for work that other processes bring, if the storage can tell of it."""
    if "watch" not in runtime.storage.capabilities:
        yield
        return
    task = asyncio.ensure_future(_watch(runtime))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _watch(runtime: Runtime) -> None:
    while True:
        try:
            async for queue in runtime.storage.watch():
                runtime.waiting.wake(queue)
        # An isolation point, as above: long-polls look again by themselves meanwhile.
        except Exception as error:  # noqa: BLE001  # of which the log is told
            _tell("the storage could not be watched", error)
        await runtime.clock.sleep_until(runtime.clock.now() + FAILED_MS)


def _tell(problem: str, error: Exception) -> None:
    if not isinstance(error, PluginFailure):  # of which the log was told where it broke
        logger.error(problem, exc_info=error)
