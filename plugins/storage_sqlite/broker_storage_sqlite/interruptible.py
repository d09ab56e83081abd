"""Work on a connection in a thread, which ends soon when whoever waits for it is cancelled."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, TypeVar

T = TypeVar("T")

_AGAIN_SECONDS = 0.05


async def work_on(
    connect: Callable[[], sqlite3.Connection], work: Callable[[sqlite3.Connection], T]
) -> T:
    """Return what work on a new connection returns; whatever happens, it is closed then.

    Cancelling interrupts the statement that is being carried out, and waits for the thread.
    """
    connected: list[sqlite3.Connection] = []

    def run() -> T:
        with closing(connect()) as sql:
            connected.append(sql)
            return work(sql)

    with ThreadPoolExecutor(max_workers=1) as thread:
        running = asyncio.get_running_loop().run_in_executor(thread, run)
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            await _interrupt(connected, running)
            raise
        return running.result()


async def _interrupt(connected: list[sqlite3.Connection], running: asyncio.Future[Any]) -> None:
    """End a thread's work, however often its caller is cancelled meanwhile."""
    while not running.done():
        # Again and again: between two statements there is nothing to interrupt.
        with suppress(sqlite3.ProgrammingError):  # it was closed meanwhile
            for sql in connected:
                sql.interrupt()
        with suppress(asyncio.CancelledError):
            await asyncio.wait([running], timeout=_AGAIN_SECONDS)
    running.exception()  # taken, so that it is not reported
