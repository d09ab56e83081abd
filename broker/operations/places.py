"""How many may wait, or stream, at one time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import TracebackType

from broker.auth import Identity
from broker.budget import Whose, whose_identity
from broker.errors import BrokerError, Overloaded, TooManyStreams, TooManyWaiting


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
        self.in_all = 0
        """How many wait."""

    def place(self, identity: Identity) -> Place:
        """Return a place that is not taken yet."""
        return Place(self, whose_identity(identity))

    def take(self, whose: Whose) -> None:
        """Count one more."""
        if self._taken[whose] >= self._most_each:
            raise self._over_each()
        if self.in_all >= self._most:
            raise self._over()
        self._taken[whose] += 1
        self.in_all += 1

    def give_back(self, whose: Whose) -> None:
        """Count one less."""
        self.in_all -= 1
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


def waiting_places(most: int, most_each: int) -> Places:
    """Return the places of requests that wait for messages."""
    return Places(
        most=most,
        most_each=most_each,
        over=lambda: Overloaded("too many requests wait; try again soon, or ask without waiting"),
        over_each=lambda: TooManyWaiting(most_each, "broker.max_waiting_per_identity"),
    )


def stream_places(most: int, most_each: int) -> Places:
    """Return the places of streams."""
    return Places(
        most=most,
        most_each=most_each,
        over=lambda: TooManyStreams(
            f"{most} streams are open, which is what broker.max_streams allows; try again later"
        ),
        over_each=lambda: TooManyStreams(
            f"{most_each} of your streams are open already, which is what "
            "broker.max_streams_per_identity allows; close one"
        ),
    )
