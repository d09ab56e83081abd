"""Telling observers what happened, without letting any of them hurt the broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from broker.extend import Event, EventKind, Observer
from broker.isolation import Failures
from broker.operations.listening import InLoop, InThread


class Observers:
    """All enabled observers. `ticks` returns monotonic seconds."""

    def __init__(
        self,
        observers: Sequence[tuple[str, Observer]],
        failures: Failures,
        *,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threads = [
            InThread(name, one, failures) for name, one in observers if not one.in_loop
        ]
        in_loop = [InLoop(name, one, failures, ticks) for name, one in observers if one.in_loop]
        self._listeners = (*in_loop, *self._threads)
        self._wants_all = any(listener.kinds is None for listener in self._listeners)
        self._wanted = frozenset[EventKind]().union(
            *(listener.kinds or () for listener in self._listeners)
        )

    def want(self, kind: EventKind) -> bool:
        """Tell whether anybody wants such events; if not, none need be made."""
        return self._wants_all or kind in self._wanted

    def notify(self, events: Sequence[Event]) -> None:
        """Hand the events of one operation to everybody who wants them."""
        told = tuple(events)  # which none can change for the others
        for listener in self._listeners:
            listener.tell(told)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Have the threads run while the block does; at its end they hear what they were not told
        yet, as far as they can in a moment. What comes before the block waits for it."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            await asyncio.gather(*(thread.stop() for thread in self._threads))
