"""The bench of the observer contract: an observer, and where the core calls it from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from broker.extend import Event, Observer
from broker.testing.observer.elsewhere import LoopElsewhere, ThreadElsewhere
from broker.testing.opening import ProviderBench

T = TypeVar("T")


class ObserverBench(ProviderBench[Observer]):
    """An observer, called from where the core calls it: `notify` in a thread of its own, or on
    the event loop if it is `in_loop`, and all else on that loop."""

    def __init__(self, make: Callable[[], Observer], folder: Path, *, call_seconds: float) -> None:
        super().__init__(make)
        self.folder = folder
        """Where the observer may keep files."""
        self.observer: Observer = self.provider
        """The observer under test."""
        self._call_seconds = call_seconds
        self._is_stuck = False

    async def __aenter__(self) -> Self:
        self._loop, self._thread = LoopElsewhere(), ThreadElsewhere()
        return await super().__aenter__()

    async def __aexit__(self, *_: object) -> None:
        if self._is_stuck:
            return  # its threads are, too, and keep nobody from going on
        await self.close()
        self._thread.end()
        self._loop.end()

    async def on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await something of the observer, on the event loop."""
        return await self._in_time(self._loop.run(coroutine))

    def wanted(self, events: Sequence[Event]) -> list[Event]:
        """Return those that the observer is told of."""
        kinds = self.observer.kinds
        return [event for event in events if kinds is None or event.kind in kinds]

    async def notify(self, events: Sequence[Event]) -> None:
        """Tell the observer of one operation, if it wants to hear of that."""
        if told := self.wanted(events):
            await self.hand(told)

    async def hand(self, events: Sequence[Event]) -> None:
        """Have the observer take just these events."""
        if self.observer.in_loop:
            await self.on_loop(_notify(self.observer, events))
        else:
            notify = self.observer.notify
            await self._in_time(self._thread.call(lambda: notify(events)))

    async def close(self, *, after: Sequence[Event] = ()) -> None:
        """Close the observer as soon as it took these events, before anything else can happen."""
        if after and not self.observer.in_loop:
            await self.hand(after)
            after = ()
        await self.on_loop(_close(self.observer, after))

    async def _in_time(self, doing: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(self._call_seconds) as limit:
                return await doing
        except asyncio.CancelledError:
            self._is_stuck = True  # the patience of the whole test is at its end
            raise
        except TimeoutError:
            if not limit.expired():
                raise
            self._is_stuck = True
            pytest.fail(f"not done within {self._call_seconds:g} s: it blocks")


async def _notify(observer: Observer, events: Sequence[Event]) -> None:
    observer.notify(events)


async def _close(observer: Observer, events: Sequence[Event]) -> None:
    if events:
        observer.notify(events)
    await observer.close()
