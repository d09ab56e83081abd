"""Memory that all who are served share: so much in all, and for each no more than half of it, so
that nobody can take it from everybody else."""

from __future__ import annotations

from collections import Counter

from broker.addresses import address_key
from broker.auth import Identity
from broker.errors import Overloaded

Whose = tuple[bool, str]
"""Whether it is an address, and which; else a subject."""


def whose_identity(identity: Identity) -> Whose:
    """Return as whose counts what an identity does: who is anonymous is an address here."""
    return whose_address(identity.peer) if identity.is_anonymous else (False, identity.subject)


def whose_address(peer: str) -> Whose:
    """Return as whose counts what comes from an address."""
    return True, address_key(peer)


class Budget:
    """So many bytes. `detail` tells who gets none of them to try again."""

    def __init__(self, size: int, detail: str) -> None:
        self._left = size
        self._most_each = size // 2
        self._detail = detail
        self._taken: Counter[Whose] = Counter()

    def take(self, whose: Whose, size: int) -> None:
        """Count so many bytes more; raises Overloaded if there are no more, or not for this one."""
        if size > self._left or self._taken[whose] + size > self._most_each:
            raise Overloaded(self._detail)
        self._left -= size
        self._taken[whose] += size

    def give_back(self, whose: Whose, size: int) -> None:
        """Count so many bytes less."""
        self._left += size
        self._taken[whose] -= size
        if not self._taken[whose]:
            del self._taken[whose]


class Share:
    """What one request has of a budget."""

    __slots__ = ("_budget", "_size", "_whose")

    def __init__(self, budget: Budget, whose: Whose) -> None:
        self._budget = budget
        self._whose = whose
        self._size = 0

    def hold(self, size: int) -> None:
        """Have so many bytes in all, if that is more than before; raises Overloaded."""
        if size > self._size:
            self._budget.take(self._whose, size - self._size)
            self._size = size

    def give_back(self) -> None:
        """Have none; to do so twice does no harm."""
        self._budget.give_back(self._whose, self._size)
        self._size = 0
