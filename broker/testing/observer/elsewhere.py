"""Where the core calls observers: the event loop of a broker, or a thread of the observer's own.

Neither is the loop of the test, which so notices when something does not come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class LoopElsewhere:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._running: Future[asyncio.AbstractEventLoop] = Future()
        self._over = asyncio.Event()
        # A daemon: one that is stuck keeps no process from its end.
        self._thread = Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns there."""
        loop = self._running.result()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))

    def end(self) -> None:
        """End what still runs there."""
        self._running.result().call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _run(self) -> None:
        self._running.set_result(asyncio.get_running_loop())
        await self._over.wait()


class ThreadElsewhere:
    """A thread that makes calls, one after the other; no event loop runs there."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    async def call(self, function: Callable[[], None]) -> None:
        """Return when the call is made, and nothing of it left there; raise what it raises."""
        called: Future[None] = Future()
        self._calls.put((called, function))
        await asyncio.wrap_future(called)

    def end(self) -> None:
        """Make the calls that are left, and no more."""
        self._calls.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            called, function = call
            error = _error_of(function)
            # Whoever asked may look at once whether somebody else keeps what was given.
            del call, function
            if error is None:
                called.set_result(None)
            else:
                called.set_exception(error)


def _error_of(function: Callable[[], None]) -> BaseException | None:
    try:
        function()
    except BaseException as error:  # noqa: BLE001  # it belongs to whoever asked for the call
        return error
    return None
