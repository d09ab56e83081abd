"""One request's time with the broker: whether it is in flight, what its answer has to tell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from broker.errors import Overloaded
from broker.ratelimit import Quota

OVERLOADED = "too many requests are in flight; try again soon"


class Turns:
    """The requests in flight: how many there are, and how many there may be."""

    __slots__ = ("in_flight", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        """How many there may be."""
        self.in_flight = 0
        """How many there are."""

    @property
    def are_all_taken(self) -> bool:
        """Whether one more would be too many."""
        return self.in_flight >= self.most

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have a turn while the block runs, for what comes in by no request of its own; raises
        Overloaded."""
        if self.are_all_taken:
            raise Overloaded(OVERLOADED)
        turn = Turn(self)
        token = CURRENT_TURN.set(turn)
        try:
            yield
        finally:
            CURRENT_TURN.reset(token)
            turn.end()


class Turn:
    """One request's time with the broker: in flight from when it is made until it ends, except
    while it rests."""

    __slots__ = ("_kept", "_quotas", "_rests", "_turns", "identity", "request_id")

    def __init__(self, turns: Turns, request_id: str | None = None) -> None:
        turns.in_flight += 1
        self._turns = turns
        self.request_id = request_id
        """What log lines call the request, if it is for one."""
        self.identity: str | None = None
        """The subject of who asks, once that is known."""
        self._rests = 0
        self._kept = 1
        self._quotas: dict[str, Quota] = {}

    def rest(self) -> None:
        """Be in flight no longer, until `wake` was called as often."""
        if self._rests == 0:
            self._turns.in_flight -= 1
        self._rests += 1

    def wake(self) -> None:
        """Be in flight again, however many there are: what was begun is not refused."""
        self._rests -= 1
        if self._rests == 0:
            self._turns.in_flight += 1

    def end(self) -> None:
        """Rest for good, whatever was begun in this turn and is still at it."""
        self.rest()
        self.leave()

    @property
    def goes_on(self) -> bool:
        """Whether what is told in its context is about the request: what was begun in it, a timer
        say, may be there long after."""
        return self._kept > 0

    def keep(self) -> None:
        """Go on after the end, for an answer that does, until `leave` was called as often."""
        self._kept += 1

    def leave(self) -> None:
        """Go on no longer than others keep it."""
        self._kept -= 1

    def note(self, quotas: tuple[Quota, ...]) -> None:
        """Take note of the limits that applied; of one that applied twice, of the latest state."""
        for quota in quotas:
            self._quotas[quota.name] = quota

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return what the limits that applied add to the answer
        (draft-ietf-httpapi-ratelimit-headers-10)."""
        if not self._quotas:
            return ()
        quotas = self._quotas.values()
        policy = ", ".join(f'"{q.name}";q={q.limit};w={q.window_seconds}' for q in quotas)
        left = ", ".join(
            f'"{q.name}";r={q.remaining};t={math.ceil(q.reset_seconds)}' for q in quotas
        )
        return (("ratelimit-policy", policy), ("ratelimit", left))


CURRENT_TURN: ContextVar[Turn | None] = ContextVar("broker.turn", default=None)


@contextmanager
def resting() -> Iterator[None]:
    """Let the request at hand, if this is for one, rest while the block waits."""
    turn = CURRENT_TURN.get()
    if turn is None:
        yield
        return
    turn.rest()
    try:
        yield
    finally:
        turn.wake()
