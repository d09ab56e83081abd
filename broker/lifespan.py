"""A plugin's background work, in a task of its own."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

from broker.isolation import Failures, is_from_outside


class Lifespan:
    """Enters and leaves a context manager in one task, as task groups and time limits within it
    demand. One that ends before its time is told of in the log, and the broker goes on."""

    def __init__(
        self, name: str, manager: AbstractAsyncContextManager[Any], failures: Failures
    ) -> None:
        self._name = name
        self._manager = manager
        self._failures = failures
        self._is_over = asyncio.Event()
        self._task: asyncio.Task[BaseException | None] | None = None

    async def enter(self) -> None:
        """Return when the context is entered; raises what that raises."""
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(self._live(entered))
        try:
            await entered
        except BaseException:
            self._task.cancel()
            await asyncio.wait([self._task])
            raise

    async def leave(self) -> None:
        """Return when the context is left; raises what that raises."""
        self._is_over.set()
        if self._task is not None and (error := await self._task) is not None:
            raise error

    async def _live(self, entered: asyncio.Future[None]) -> BaseException | None:
        """Return what leaving raised: SystemExit, raised in a task, would end the broker."""
        try:
            async with self._manager:
                entered.set_result(None)
                await self._is_over.wait()
        except BaseException as error:
            if is_from_outside(error):
                raise
            if self._is_over.is_set():
                return error
            if entered.done():
                self._failures.note(self._name, "go on in the background", error)
            else:
                entered.set_exception(error)
        return None
