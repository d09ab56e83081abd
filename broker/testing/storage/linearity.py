"""Linearizability: is there one order of overlapping operations that explains their answers?

The search of Wing and Gong (Testing and Verifying Concurrent Objects, 1993), which does not try
again what Lowe (Testing for Linearizability, 2017) remembers. It is exhaustive, so keep a history
to about ten operations.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import msgspec

Call = TypeVar("Call")
State = TypeVar("State", bound=Hashable)


class Interval(msgspec.Struct, Generic[Call], frozen=True):
    """An operation with its answer: it took effect between `begun` and `ended`.

    These are places in the one sequence of all beginnings and ends, so no two are equal.
    """

    begun: int
    ended: int
    call: Call

    def __str__(self) -> str:
        return f"{self.begun}-{self.ended} {self.call}"


class Contradiction(Exception):  # it is caught, never shown as an error
    """Raised by a model for an answer that is impossible in its state; says why."""


def explain(
    history: Sequence[Interval[Call]], state: State, apply: Callable[[State, Call], State]
) -> list[Call]:
    """Return the calls in an order that explains them; raises AssertionError if there is none.

    `apply` returns the state after a call, or raises Contradiction. Of two operations, one that
    ended before the other began comes first.
    """
    search = _Search(history, apply)
    if not search.finish((), state):
        raise AssertionError(search.failure())
    return [interval.call for interval in search.best]


class _Search(Generic[Call, State]):
    def __init__(
        self, history: Sequence[Interval[Call]], apply: Callable[[State, Call], State]
    ) -> None:
        self._history = sorted(history, key=lambda interval: interval.begun)
        self._apply = apply
        self._tried: set[tuple[frozenset[int], State]] = set()
        self.best: tuple[Interval[Call], ...] = ()
        self._obstacles: list[str] = []

    def finish(self, order: tuple[Interval[Call], ...], state: State) -> bool:
        """Extend an order to the whole history, if that is possible."""
        if len(order) >= len(self.best):
            self.best, self._obstacles = order, []
        left = [interval for interval in self._history if interval not in order]
        tried = (frozenset(interval.begun for interval in left), state)
        if not left or tried in self._tried:
            return not left
        self._tried.add(tried)
        first_end = min(interval.ended for interval in left)
        return any(
            self._goes_on(order, state, interval) for interval in left if interval.begun < first_end
        )

    def _goes_on(
        self, order: tuple[Interval[Call], ...], state: State, interval: Interval[Call]
    ) -> bool:
        try:
            after = self._apply(state, interval.call)
        except Contradiction as why:
            if len(order) == len(self.best):
                self._obstacles.append(f"  {interval}: {why}")
            return False
        return self.finish((*order, interval), after)

    def failure(self) -> str:
        """Say how far the longest explanation comes, and why no further."""
        done = [f"  {interval}" for interval in self.best]
        return "\n".join(
            ("no order explains the answers; at best:", *done, "and then not:", *self._obstacles)
        )
