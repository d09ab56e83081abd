"""Deadlines that are nearly always met: one timer for all, because a timer for each costs more
than what it guards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Tells who is late, `seconds` after they were added. All have the same time, so whoever was
    added first is due first. Of one event loop at a time."""

    def __init__(self, seconds: float, late: Callable[[T], None]) -> None:
        self._seconds = seconds
        self._late = late
        self._due: dict[T, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_armed = False

    def add(self, entry: T) -> None:
        """Call `late(entry)` once its time is over, unless it is removed before."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._is_armed = loop, False
            self._due.clear()
        due = loop.time() + self._seconds
        self._due[entry] = due
        if not self._is_armed:
            self._is_armed = True
            loop.call_at(due, self._look)

    def remove(self, entry: T) -> None:
        """Forget an entry; harmless if it was late or never there."""
        self._due.pop(entry, None)

    @contextmanager
    def limit(self, entry: T) -> Iterator[None]:
        """Call `late(entry)` once its time is over, unless the block has ended before."""
        self.add(entry)
        try:
            yield
        finally:
            self.remove(entry)

    def _look(self) -> None:
        assert self._loop is not None, "a timer runs on the loop that set it"
        now = self._loop.time()
        self._is_armed = False
        while self._due:
            entry, due = next(iter(self._due.items()))
            if due > now:
                self._is_armed = True
                self._loop.call_at(due, self._look)
                return
            del self._due[entry]
            self._late(entry)


class LateError(TimeoutError):
    """What was waited for did not end in time."""


class TimeLimit:
    """How long is waited for one thing at a time in each task: like `asyncio.timeout`, which costs
    as much as a whole publish in the core."""

    def __init__(self, seconds: float) -> None:
        self._deadlines = Deadlines(seconds, _Wait.interrupt)
        self._problem = f"not done within {seconds:g} s"

    async def wait(self, work: Awaitable[T]) -> T:
        """Return what the work does; raises LateError, and cancels the work, when it is late.

        What does not end when it is cancelled is waited for all the same.
        """
        wait = _Wait()
        self._deadlines.add(wait)
        try:
            result = await work
        except BaseException as error:
            if wait.is_late and wait.forget():
                raise LateError(self._problem) from error
            raise
        finally:
            self._deadlines.remove(wait)
        if wait.is_late and wait.forget():
            raise LateError(self._problem)
        return result


class _Wait:
    """A task that waits."""

    __slots__ = ("_cancelled_before", "_task", "is_late")

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "who waits is a task"
        self._task = task
        self._cancelled_before = task.cancelling()
        self.is_late = False

    def interrupt(self) -> None:
        self.is_late = True
        self._task.cancel()

    def forget(self) -> bool:
        """Take the interrupt back; tell whether nobody else cancelled the task."""
        return self._task.uncancel() <= self._cancelled_before
