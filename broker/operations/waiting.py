"""Long-polls: who waits for work in which queue, and who is woken when some comes."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType

from broker.context import Clock


class Waiting:
    """The seats of all that wait, by queue, first come first served."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seats: dict[str, deque[Seat]] = {}
        self.closed = False

    def seat(self, queue: str) -> Seat:
        """Return a seat; enter it before looking for work, so that no wake-up is missed."""
        return Seat(self, queue, self._clock)

    def wake(self, queue: str, count: int = 1) -> None:
        """Wake as many of those who wait for this queue, in the order of their coming."""
        seats = self._seats.get(queue)
        while seats and count > 0:
            count -= seats.popleft().wake()
        if seats is not None and not seats:
            del self._seats[queue]

    def wake_all(self) -> None:
        """Wake everybody who waits for anything."""
        for queue in list(self._seats):
            self.wake(queue, len(self._seats[queue]))

    def close(self) -> None:
        """Wake everybody, now and from now on: the broker drains."""
        self.closed = True
        self.wake_all()

    def join(self, seat: Seat) -> None:
        """Put a seat at the end of its line."""
        if self.closed:
            seat.wake()
        else:
            self._seats.setdefault(seat.queue, deque()).append(seat)

    def leave(self, seat: Seat) -> None:
        """Take back a seat for good, and pass on a wake-up that it did not use."""
        if not seat.woken:
            self.remove(seat)
        elif seat.called:
            # It was woken for work that it did not take: that work is somebody else's.
            self.wake(seat.queue)

    def remove(self, seat: Seat) -> None:
        """Take a seat out of its line."""
        seats = self._seats[seat.queue]
        seats.remove(seat)
        if not seats:
            del self._seats[seat.queue]


class Seat:
    """One long-poll's place in the line.

    Use: enter; then `look()`, look for work, `wait()`, and again. A wake-up that comes between
    `look` and `wait` is kept.
    """

    def __init__(self, waiting: Waiting, queue: str, clock: Clock) -> None:
        self.queue = queue
        self._waiting = waiting
        self._clock = clock
        self._woken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def woken(self) -> bool:
        """Whether its wait is over, for whatever reason, since the last look."""
        return self._woken.done()

    @property
    def called(self) -> bool:
        """Whether somebody woke it, rather than the time."""
        return self._woken.done() and self._woken.result()

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
        if self.woken:
            self._woken = asyncio.get_running_loop().create_future()
            self._waiting.join(self)

    async def wait(self, until: int) -> None:
        """Return when somebody wakes this seat, or at `until` (milliseconds)."""
        timer = self._clock.call_at(until, self._time_is_up)
        try:
            await asyncio.shield(self._woken)
        finally:
            timer.cancel()

    def wake(self) -> bool:
        """Wake this seat; False if it was awake already."""
        if self.woken:
            return False
        self._woken.set_result(True)
        return True

    def _time_is_up(self) -> None:
        if not self.woken:
            self._waiting.remove(self)
            self._woken.set_result(False)
