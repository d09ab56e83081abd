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
        """Start work that nobody else cancels; its result or its error is the caller's to take."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._end)
        return task

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work to its end, also when the caller is cancelled meanwhile."""
        # Less than asyncio.shield, which costs as much as the task itself.
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.start(work).add_done_callback(partial(_tell, answer))
        return await answer

    async def close(self) -> None:
        """Return when everything that was started has ended."""
        while self._running:
            await asyncio.wait(self._running)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), StorageFailed):
            self.failure.note(error)


def _tell(answer: asyncio.Future[T], task: asyncio.Task[T]) -> None:
    """Pass on how a task ended, if somebody still waits for it."""
    # Asked for in any case, so that an error that nobody waits for is not reported as lost.
    error = None if task.cancelled() else task.exception()
    if answer.done():
        return
    if task.cancelled():
        answer.cancel()
    elif error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(task.result())
