"""Work that must be finished although the client that asked for it went away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

from broker.errors import StorageFailed
from broker.operations.failure import Failure

T = TypeVar("T")


class Tasks:
    """Owns tasks until they end, so that none is lost and none outlives the broker.

    `failure` hears of a storage that gives up in one of them.
    """

    def __init__(self) -> None:
        self.failure = Failure()
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that nobody else cancels."""
        task = asyncio.ensure_future(self._do(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # Work that is cancelled before its first step would be reported as never awaited.
        task.add_done_callback(lambda _: work.close())
        return task

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work to its end, also when the caller is cancelled meanwhile."""
        # Less than asyncio.shield, which costs as much as the task itself.
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        task = loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(partial(self._tell, answer))
        return await answer

    def _tell(self, answer: asyncio.Future[T], task: asyncio.Task[T]) -> None:
        self._running.discard(task)
        # Taken in any case, so that a failure that nobody waits for is not reported as lost.
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if answer.done():
            return
        if error is None:
            answer.set_result(task.result())
        elif isinstance(error, asyncio.CancelledError):
            answer.cancel()
        else:
            answer.set_exception(error)

    async def close(self) -> None:
        """Return when everything that was started has ended."""
        while self._running:
            await asyncio.wait(self._running)

    async def _do(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        except StorageFailed as error:
            self.failure.note(error)
            raise
