"""How many may wait at one time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import TracebackType

from broker.auth import Identity
from broker.budget import Whose, whose_identity
from broker.errors import BrokerError


class Places:
    """Bounds how many wait for something of one kind: of one identity, and in all.

    `over` and `over_each` make what is raised when there are too many.
    """

    def __init__(
        self,
        *,
        most: int,
        most_each: int,
        over: Callable[[], BrokerError],
        over_each: Callable[[], BrokerError],
    ) -> None:
        self._most = most
        self._most_each = most_each
        self._over = over
        self._over_each = over_each
        self._taken: Counter[Whose] = Counter()
        self._in_all = 0

    def place(self, identity: Identity) -> Place:
        """Return a place that is not taken yet."""
        return Place(self, whose_identity(identity))

    def take(self, whose: Whose) -> None:
        """Count one more."""
        if self._taken[whose] >= self._most_each:
            raise self._over_each()
        if self._in_all >= self._most:
            raise self._over()
        self._taken[whose] += 1
        self._in_all += 1

    def give_back(self, whose: Whose) -> None:
        """Count one less."""
        self._in_all -= 1
        self._taken[whose] -= 1
        if not self._taken[whose]:
            del self._taken[whose]


class Place:
    """One that may have to wait. Use: enter; `take` when it does; on leaving it is given back."""

    def __init__(self, places: Places, whose: Whose) -> None:
        self._places = places
        self._whose = whose
        self._is_taken = False

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Have the place no more; harmless if it was never taken."""
        if self._is_taken:
            self._is_taken = False
            self._places.give_back(self._whose)

    def take(self) -> None:
        """Have the place until it is left; raises what is raised when there are too many."""
        if not self._is_taken:
            self._places.take(self._whose)
            self._is_taken = True
