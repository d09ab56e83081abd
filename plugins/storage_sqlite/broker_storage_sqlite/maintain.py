"""Maintenance: what time brings, in all queues."""

from __future__ import annotations

from collections import Counter

from broker import Ended, Maintenance

from broker_storage_sqlite import moves
from broker_storage_sqlite.due import notice_lapses, show_scheduled
from broker_storage_sqlite.rows import Row, is_exhausted
from broker_storage_sqlite.transaction import Transaction

_FROM = "FROM queues AS q CROSS JOIN messages AS m WHERE m.queue_id = q.id"
_EXHAUSTED = f"""
SELECT m.id {_FROM} AND m.token IS NOT NULL AND m.status = 'pending'
    AND m.delivery_count >= json_extract(q.policy, '$.max_deliveries') LIMIT ?
"""
_EXPIRED = f"SELECT m.id {_FROM} AND m.status = 'pending' AND m.expires_at <= ? LIMIT ?"
_OVER = """
SELECT m.id FROM queues AS q CROSS JOIN messages AS m WHERE m.queue_id = q.id
    AND m.status = '{status}'
    AND m.finished_at <= :now - 1000 * json_extract(q.policy, '$.retain_{status}') LIMIT :limit
"""
_RETIRE = """
DELETE FROM messages WHERE id IN ({source}) RETURNING queue_id, status, length(content)
"""
_RETIREMENTS = tuple(
    _RETIRE.format(source=_OVER.format(status=status)) for status in ("processed", "failed")
)
_OVERDUE_KEYS = "SELECT queue_id, key FROM dedup WHERE expires_at <= ? LIMIT ?"
_FORGET_KEY = "DELETE FROM dedup WHERE queue_id = ? AND key = ?"
_FIRST_FINISHED = """
SELECT (SELECT min(finished_at) FROM messages WHERE queue_id = q.id AND status = '{status}'
    AND finished_at IS NOT NULL) + 1000 * json_extract(q.policy, '$.retain_{status}') FROM queues q
"""
_NEXT_DUE = f"""
SELECT min(due) FROM (
    SELECT (SELECT min(visible_at) FROM messages WHERE queue_id = q.id AND shelf = 3) AS due
        FROM queues q
    UNION ALL
    SELECT (SELECT min(expires_at) FROM messages WHERE queue_id = q.id AND status = 'pending'
        AND expires_at IS NOT NULL) FROM queues q
    UNION ALL {_FIRST_FINISHED.format(status="processed")}
    UNION ALL {_FIRST_FINISHED.format(status="failed")}
)
"""
_PAGES_GIVEN = 500
"""How many free pages go back to the disk in one call."""

_SPARE_PAGES = 2000
"""Free pages that a file may keep beside a quarter of its size, for the messages to come."""


def maintain(tx: Transaction, now: int, limit: int) -> Maintenance:
    """Lapse, expire and retire at most `limit` messages."""
    lapsed: Counter[str] = Counter()
    ended: list[Ended] = []
    left = limit
    left -= _lapse(tx, now, left, lapsed, ended)
    left -= _fail_exhausted(tx, now, left, ended)
    left -= _expire(tx, now, left, ended)
    retired = _retire(tx, now, left)
    left -= retired
    show_scheduled(tx, now, limit)
    tx.executemany(_FORGET_KEY, tx.execute(_OVERDUE_KEYS, (now, limit)).fetchall())
    tx.regroup()
    if left == limit:
        _shrink(tx)
    return Maintenance(
        lapsed=dict(lapsed), ended=tuple(ended), retired=retired, next_due=_next_due(tx, now)
    )


def _lapse(tx: Transaction, now: int, limit: int, lapsed: Counter[str], ended: list[Ended]) -> int:
    noticed = notice_lapses(tx, now, limit)
    for message_id in noticed:
        row = _row(tx, message_id)
        queue = tx.queue_by_id(row.queue_id)
        lapsed[queue.name] += 1
        if is_exhausted(row.delivery_count, queue.policy):
            ended.append(moves.fail_exhausted(tx, row, now))
    return len(noticed)


def _fail_exhausted(tx: Transaction, now: int, limit: int, ended: list[Ended]) -> int:
    """Fail those whose last lapse was noticed earlier, by a lease that did not come as far."""
    exhausted = tx.execute(_EXHAUSTED, (limit,)).fetchall()
    for [message_id] in exhausted:
        ended.append(moves.fail_exhausted(tx, _row(tx, message_id), now))
    return len(exhausted)


def _expire(tx: Transaction, now: int, limit: int, ended: list[Ended]) -> int:
    expired = tx.execute(_EXPIRED, (now, limit)).fetchall()
    for [message_id] in expired:
        ended.append(moves.expire(tx, _row(tx, message_id), now))
    return len(expired)


def _retire(tx: Transaction, now: int, limit: int) -> int:
    retired = 0
    for statement in _RETIREMENTS:
        rows = tx.execute(statement, {"now": now, "limit": limit - retired}).fetchall()
        retired += len(rows)
        for queue_id, status, size in rows:
            tx.counters.add(queue_id, **{status: -1}, bytes=-size, total_retired=1)
    return retired


def _shrink(tx: Transaction) -> None:
    """Give pages back to the disk, a few at a time, when much of the file is free."""
    [free] = tx.execute("PRAGMA freelist_count").fetchone()
    [pages] = tx.execute("PRAGMA page_count").fetchone()
    if free > _SPARE_PAGES + pages // 4:
        for _ in range(_PAGES_GIVEN):
            # One each, because sqlite3 steps a statement without columns only once.
            tx.execute("PRAGMA incremental_vacuum(1)")


def _next_due(tx: Transaction, now: int) -> int | None:
    for more in (tx.execute(_EXHAUSTED, (1,)), tx.execute(_OVERDUE_KEYS, (now, 1))):
        if more.fetchone() is not None:
            return now
    [due] = tx.execute(_NEXT_DUE).fetchone()
    return None if due is None else int(due)


def _row(tx: Transaction, message_id: int) -> Row:
    row = tx.row(message_id)
    assert row is not None, "it was found a moment ago"
    return row
