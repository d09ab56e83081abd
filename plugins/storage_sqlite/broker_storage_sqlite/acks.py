"""Acks: what is settled most, written together."""

from __future__ import annotations

from broker_storage_sqlite import moves
from broker_storage_sqlite.rows import Row
from broker_storage_sqlite.transaction import Transaction

_KEEP = (
    "UPDATE messages SET status = 'processed', shelf = 0, finished_at = ?, updated_at = ?"
    " WHERE id = ?"
)
_REMOVE = "DELETE FROM messages WHERE id = ?"


class Acks:
    """The messages that a call acked and that are not written yet, by queue."""

    def __init__(self) -> None:
        self._rows: dict[int, list[Row]] = {}

    def add(self, row: Row) -> None:
        """Take in a message that is leased or lapsed."""
        self._rows.setdefault(row.queue_id, []).append(row)

    def write(self, tx: Transaction, now: int) -> None:
        """Write what was taken in since the last time."""
        for queue_id, rows in self._rows.items():
            is_kept = tx.queue_by_id(queue_id).policy.retain_processed != 0
            if is_kept:
                tx.executemany(_KEEP, [(now, now, row.id) for row in rows])
            else:
                tx.executemany(_REMOVE, [(row.id,) for row in rows])
            _count(tx, queue_id, rows, is_kept=is_kept, now=now)
        self._rows.clear()


def _count(tx: Transaction, queue_id: int, rows: list[Row], *, is_kept: bool, now: int) -> None:
    for row in rows:
        tx.touch(queue_id, row.grp)
        moves.count_lapse(tx, row, now)
    late = [row.size for row in rows if row.status == "pending"]
    tx.counters.add(
        queue_id,
        pending=-len(late),
        pending_bytes=-sum(late),
        processing=len(late) - len(rows),
        processed=len(rows) if is_kept else 0,
        bytes=0 if is_kept else -sum(row.size for row in rows),
        total_acked=len(rows),
    )
