"""Long-polls and streams: who waits for work in which queue, and who is woken when some comes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import NamedTuple

from broker.context import Clock, Timer


class Waiting:
    """The lines of all that wait, one for each queue, first come first served."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[str, OrderedDict[Seat, None]] = {}
        self._alarms: dict[str, _Alarm] = {}
        self.closed = False

    def seat(self, queue: str, wake: Callable[[], None] | None = None) -> Seat:
        """Return a seat; enter it before looking for work, so that no wake-up is missed. `wake` is
        called when it is woken, for who does not `wait`."""
        return Seat(self, queue, self._clock, wake)

    def wake(self, queue: str, count: int = 1, *, told: bool = True) -> None:
        """Wake as many of those who wait for this queue, in the order of their coming; `told`: for
        a message each, as far as is known."""
        line = self._lines.get(queue)
        while line and count > 0:
            seat, _ = line.popitem(last=False)
            seat.call(told=told)
            count -= 1
        if line is not None and not line:
            self._end_line(queue)

    def expect(self, queue: str, when: int | None) -> None:
        """Wake one of those who wait for this queue then (milliseconds), because who looked for
        work last was told that some becomes visible by itself."""
        if when is None or queue not in self._lines:
            return
        alarm = self._alarms.get(queue)
        if alarm is not None:
            if alarm.at <= when:
                return
            alarm.timer.cancel()
        self._alarms[queue] = _Alarm(when, self._clock.call_at(when, partial(self._ring, queue)))

    def wake_line(self, queue: str) -> None:
        """Wake everybody who waits for this queue."""
        self.wake(queue, len(self._lines.get(queue, ())))

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
        woken for is still there. So does one that found work of which nobody had told: there may be
        more.
        """
        if not seat.called:
            line = self._lines[seat.queue]
            del line[seat]
            if not line:
                self._end_line(seat.queue)
        if not (seat.served and seat.prompted):
            self.wake(seat.queue, told=False)

    def is_first(self, seat: Seat) -> bool:
        """Tell whether a seat is at the head of its line."""
        return next(iter(self._lines.get(seat.queue, ())), None) is seat

    def _ring(self, queue: str) -> None:
        del self._alarms[queue]
        self.wake(queue, told=False)

    def _end_line(self, queue: str) -> None:
        del self._lines[queue]
        alarm = self._alarms.pop(queue, None)
        if alarm is not None:
            alarm.timer.cancel()


class _Alarm(NamedTuple):
    at: int
    timer: Timer


class Seat:
    """The place in the line of a long-poll, or of a stream until it found something.

    Use: enter; then `look()`, look for work, `wait()`, and again, if it `has_reason` to look. A
    wake-up that comes between `look` and `wait` is kept. Set `served` before leaving with work.
    """

    def __init__(
        self, waiting: Waiting, queue: str, clock: Clock, wake: Callable[[], None] | None
    ) -> None:
        self.queue = queue
        self.called = False
        """Whether somebody woke it since the last look; then it is in no line."""
        self.prompted = False
        """Whether somebody who told of work woke it for the last look."""
        self.served = False
        self._waiting = waiting
        self._clock = clock
        self._awake = asyncio.Event()
        self._wake = wake or self._awake.set
        self._is_told = False

    def enter(self) -> None:
        """Take the last place of the line."""
        self._waiting.join(self)

    def leave(self) -> None:
        """Go for good."""
        self._waiting.leave(self)

    def __enter__(self) -> Seat:
        self.enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.leave()

    def look(self) -> None:
        """Say that work is looked for from now on: what woke the seat before is used up."""
        self._awake.clear()
        self.prompted = self.called and self._is_told
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

    def call(self, *, told: bool = True) -> None:
        """Wake this seat, which has left its line; `told`: for one message."""
        self.called = True
        self._is_told = told
        self._wake()
