"""The counters of queues: kept with every change, so that nothing is ever counted."""

from __future__ import annotations

import sqlite3
from collections import defaultdict

HELD = ("pending", "scheduled", "processing", "processed", "failed", "bytes", "pending_bytes")
"""What a queue holds, by status as it is stored."""

TOTALS = (
    "total_published",
    "total_delivered",
    "total_acked",
    "total_retried",
    "total_released",
    "total_failed",
    "total_dead_lettered",
    "total_redriven",
    "total_lapsed",
    "total_expired",
    "total_deleted",
    "total_dropped",
    "total_retired",
)
"""What happened in a queue."""

COLUMNS = HELD + TOTALS

_UPDATE = (
    "UPDATE queues SET "
    + ", ".join(f"{column} = {column} + :{column}" for column in COLUMNS)
    + " WHERE id = :id"
)
_UNCHANGED = dict.fromkeys(COLUMNS, 0)

_Amounts = defaultdict[int, defaultdict[str, int]]


class Counters:
    """What one transaction adds to the counters of queues, written once at its end.

    An operation that fails takes back what it added alone.
    """

    def __init__(self) -> None:
        self._kept = _none()
        self._new = _none()

    def add(self, queue_id: int, **amounts: int) -> None:
        """Add to a queue's counters, for the running operation."""
        counters = self._new[queue_id]
        for column, amount in amounts.items():
            counters[column] += amount

    def added(self, queue_id: int, column: str) -> int:
        """Return what the transaction has added to one counter so far."""
        return self._kept[queue_id][column] + self._new[queue_id][column]

    def keep(self) -> None:
        """Keep what the running operation added: it succeeded."""
        for queue_id, amounts in self._new.items():
            counters = self._kept[queue_id]
            for column, amount in amounts.items():
                counters[column] += amount
        self._new = _none()

    def discard(self) -> None:
        """Forget what the running operation added: it was undone."""
        self._new = _none()

    def write(self, sql: sqlite3.Connection) -> None:
        """Add everything that was kept to the rows of the queues."""
        for queue_id, amounts in self._kept.items():
            if any(amounts.values()):
                sql.execute(_UPDATE, {**_UNCHANGED, **amounts, "id": queue_id})

    def clear(self) -> None:
        """Forget everything: the transaction is over."""
        self._kept = _none()
        self._new = _none()


def _none() -> _Amounts:
    return defaultdict(lambda: defaultdict(int))
