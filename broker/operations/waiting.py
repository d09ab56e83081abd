"""Long-polls: who waits for work in which queue, and who is woken when some comes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from types import TracebackType

from broker.context import Clock


class Waiting:
    """The lines of all that wait, one for each queue, first come first served."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[str, OrderedDict[Seat, None]] = {}
        self.closed = False

    def seat(self, queue: str) -> Seat:
        """Return a seat; enter it before looking for work, so that no wake-up is missed."""
        return Seat(self, queue, self._clock)

    def wake(self, queue: str, count: int = 1) -> None:
        """Wake as many of those who wait for this queue, in the order of their coming."""
        line = self._lines.get(queue)
        while line and count > 0:
            seat, _ = line.popitem(last=False)
            seat.call()
            count -= 1
        if line is not None and not line:
            del self._lines[queue]

    def wake_line(self, queue: str) -> None:
        """Wake everybody who waits for this queue."""
        self.wake(queue, len(self._lines.get(queue, ())))

    def wake_each(self, count: int) -> None:
        """Wake as many of those who wait for each queue."""
        for queue in list(self._lines):
            self.wake(queue, count)

    def wake_all(self) -> None:
        """Wake everybody who waits for anything."""
        for queue in list(self._lines):
            self.wake_line(queue)

    def close(self) -> None:
        """Wake everybody, now and from now on: the broker drains."""
        self.closed = True
        self.wake_all()

    def join(self, seat: Seat) -> None:
        """Put a seat at the end of its line."""
        if self.closed:
            seat.call()
        else:
            self._lines.setdefault(seat.queue, OrderedDict())[seat] = None

    def leave(self, seat: Seat) -> None:
        """Take back a seat for good.

        One that leaves with nothing wakes the next, who looks in its place: the work that it was
        woken for is still there, and the time of what comes later may be known to it alone. So does
        one that found work of which nobody had told: there may be more.
        """
        if not seat.called:
            line = self._lines[seat.queue]
            del line[seat]
            if not line:
                del self._lines[seat.queue]
        if not (seat.served and seat.prompted):
            self.wake(seat.queue)

    def is_first(self, seat: Seat) -> bool:
        """Tell whether a seat is at the head of its line."""
        return next(iter(self._lines.get(seat.queue, ())), None) is seat


class Seat:
    """One long-poll's place in the line.

    Use: enter; then `look()`, look for work, `wait()`, and again, if it `has_reason` to look. A
    wake-up that comes between `look` and `wait` is kept. Set `served` before leaving with work.
    """

    def __init__(self, waiting: Waiting, queue: str, clock: Clock) -> None:
        self.queue = queue
        self.called = False
        """Whether somebody woke it since the last look; then it is in no line."""
        self.prompted = False
        """Whether it was woken for the last look."""
        self.served = False
        self._waiting = waiting
        self._clock = clock
        self._awake = asyncio.Event()

    def __enter__(self) -> Seat:
        self._waiting.join(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._waiting.leave(self)

    def look(self) -> None:
        """Say that work is looked for from now on: what woke the seat before is used up."""
        self._awake.clear()
        self.prompted = self.called
        if self.called:
            self.called = False
            self._waiting.join(self)

    def has_reason(self, due: int) -> bool:
        """Tell whether to look for work now: it was woken, it is `due` (milliseconds), or it is the
        one that looks for all in its line, who would otherwise do the same again and again."""
        return self.called or self._clock.now() >= due or self._waiting.is_first(self)

    async def wait(self, until: int) -> None:
        """Return when somebody wakes this seat, or at `until` (milliseconds), keeping its place."""
        if not self.called:
            self._awake.clear()  # or the end of the last wait would end this one
        timer = self._clock.call_at(until, self._awake.set)
        try:
            await self._awake.wait()
        finally:
            timer.cancel()

    def call(self) -> None:
        """Wake this seat, which has left its line."""
        self.called = True
        self._awake.set()
