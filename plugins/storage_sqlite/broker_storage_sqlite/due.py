"""What becomes due: leases that lapse, and scheduled messages that become visible.

Both move to the shelf of the ready ones before anything is taken from it, so that a lease never
has to look past what is not due.
"""

from __future__ import annotations

from typing import Any

from broker_storage_sqlite.transaction import Transaction

CHUNK = 1000
"""How many rows of each kind a lease moves at most, so that a million due ones do not stall it."""

_TO_READY = "shelf = CASE WHEN grp IS NULL THEN 1 ELSE 4 END"
_OF_QUEUE = """
SELECT id FROM messages WHERE queue_id = :queue_id AND shelf = {shelf} AND visible_at <= :now
ORDER BY visible_at LIMIT :limit
"""
# Not in order: that would sort all that is due before the first is taken.
_OF_ALL = """
SELECT m.id FROM queues AS q CROSS JOIN messages AS m
WHERE m.queue_id = q.id AND m.shelf = {shelf} AND m.visible_at <= :now LIMIT :limit
"""
_LAPSE = f"""
UPDATE messages SET status = 'pending', {_TO_READY} WHERE id IN ({{due}})
RETURNING id, queue_id, grp, length(content)
"""
_SHOW = f"""
UPDATE messages SET {_TO_READY} WHERE id IN ({{due}}) RETURNING id, queue_id, grp
"""
_LAPSE_OF_QUEUE = _LAPSE.format(due=_OF_QUEUE.format(shelf=3))
_LAPSE_OF_ALL = _LAPSE.format(due=_OF_ALL.format(shelf=3))
_SHOW_OF_QUEUE = _SHOW.format(due=_OF_QUEUE.format(shelf=2))
_SHOW_OF_ALL = _SHOW.format(due=_OF_ALL.format(shelf=2))


def notice_due(tx: Transaction, queue_id: int, now: int) -> bool:
    """Notice what is due in a queue; True if that was a whole chunk, so there may be more."""
    due = {"queue_id": queue_id, "now": now, "limit": CHUNK}
    lapsed = _lapse(tx, _LAPSE_OF_QUEUE, due)
    shown = _show(tx, _SHOW_OF_QUEUE, due)
    tx.regroup()
    return len(lapsed) == CHUNK or shown == CHUNK


def notice_lapses(tx: Transaction, now: int, limit: int) -> list[int]:
    """End leases that are over, in any queue; return the ids of those messages."""
    return _lapse(tx, _LAPSE_OF_ALL, {"now": now, "limit": limit})


def show_scheduled(tx: Transaction, now: int, limit: int) -> None:
    """Make visible what is due, in any queue."""
    _show(tx, _SHOW_OF_ALL, {"now": now, "limit": limit})


def _lapse(tx: Transaction, statement: str, due: dict[str, Any]) -> list[int]:
    rows = tx.execute(statement, due).fetchall()
    for _, queue_id, grp, size in rows:
        tx.counters.add(queue_id, processing=-1, pending=1, pending_bytes=size, total_lapsed=1)
        tx.touch(queue_id, grp)
    return [row[0] for row in rows]


def _show(tx: Transaction, statement: str, due: dict[str, Any]) -> int:
    rows = tx.execute(statement, due).fetchall()
    for _, queue_id, grp in rows:
        tx.counters.add(queue_id, scheduled=-1)
        tx.touch(queue_id, grp)
    return len(rows)
