"""Leasing: notice what is due, then take from the shelf of the ready ones."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from broker import Ended, Lease, LeaseResult, Queue, limits

from broker_storage_sqlite import moves
from broker_storage_sqlite.due import notice_due
from broker_storage_sqlite.rows import is_exhausted, message_of
from broker_storage_sqlite.transaction import Transaction

_TOKEN_BYTES = 16
_ROUNDS = 20
"""How often one call looks again for messages behind those that cannot be leased any more."""

# As they will be once they are leased, in the order of MESSAGE_COLUMNS.
_READY = """
SELECT id, queue_id, 'processing', content, content_type, headers, priority, grp, dedup_key,
    created_at, :now, :lease_until, expires_at, delivery_count + 1,
    coalesce(first_delivered_at, :now), finished_at, reason, origin_queue, :owner
FROM messages WHERE queue_id = :queue_id AND shelf = 1 ORDER BY rank DESC, id LIMIT :limit
"""
_BODY, _EXPIRES_AT, _DELIVERY_COUNT = 3, 12, 13

_LEASE = """
UPDATE messages SET status = 'processing', shelf = 3, visible_at = ?, leased_by = ?,
    leased_at = ?, updated_at = ?, delivery_count = ?, first_delivered_at = ?, token = ?
WHERE id = ?
"""
_LAPSED = "SELECT count(*) FROM messages WHERE queue_id = ? AND shelf = 3 AND visible_at <= ?"
_NEXT_VISIBLE_AT = """
SELECT min(next) FROM (
    SELECT min(visible_at) AS next FROM messages
    WHERE queue_id = :queue_id AND shelf = 2 AND visible_at > :now
    UNION ALL
    SELECT min(visible_at) FROM messages
    WHERE queue_id = :queue_id AND shelf = 3 AND visible_at > :now
)
"""


def lease(
    tx: Transaction, name: str, *, limit: int, lease_until: int, owner: str, now: int
) -> LeaseResult:
    """Lease up to `limit` messages in lease order; raises QueueNotFound."""
    queue = tx.queue(name)
    if queue.policy.paused:
        return LeaseResult(leases=[], paused=True)
    rows: Sequence[Any] = ()
    ended: list[Ended] = []
    is_behind = False
    room = _room(tx, queue, limit, now)
    if room > 0:
        wanted = {
            "queue_id": queue.id,
            "limit": room,
            "lease_until": lease_until,
            "owner": owner,
            "now": now,
        }
        rows, is_behind = _take(tx, queue, wanted, ended, now)
    leases = _lease(tx, queue, rows, now)
    # Whoever found nothing only because there was too much to look at shall come back at once.
    next_visible_at = now if is_behind and not rows else _next_visible_at(tx, queue, now)
    return LeaseResult(leases=leases, ended=tuple(ended), next_visible_at=next_visible_at)


def _room(tx: Transaction, queue: Queue, limit: int, now: int) -> int:
    if queue.policy.max_in_flight is None:
        return limit
    [lapsed] = tx.execute(_LAPSED, (queue.id, now)).fetchone()
    live = tx.counter(queue.id, "processing") - int(lapsed)
    return min(limit, queue.policy.max_in_flight - live)


def _take(
    tx: Transaction, queue: Queue, wanted: dict[str, Any], ended: list[Ended], now: int
) -> tuple[Sequence[Any], bool]:
    """Return the rows to lease, and whether there is more to look at; add to what `ended`."""
    fit: Sequence[Any] = ()
    for _ in range(_ROUNDS):
        is_behind = notice_due(tx, queue.id, now)
        rows = _within_budget(tx.execute(_READY, wanted))
        fit = [row for row in rows if not _ends(tx, queue, row, ended, now)]
        if len(fit) == len(rows) and (fit or not is_behind):
            return fit, False
        tx.regroup()
    return fit, True


def _within_budget(cursor: sqlite3.Cursor) -> list[Any]:
    """Read rows until their bodies reach what one answer may hold, and none beyond."""
    rows: list[Any] = []
    size = 0
    with closing(cursor):
        for row in cursor:
            rows.append(row)
            size += len(row[_BODY])
            if size >= limits.MAX_BATCH_BYTES:
                break
    return rows


def _ends(tx: Transaction, queue: Queue, row: Sequence[Any], ended: list[Ended], now: int) -> bool:
    """End the life of a message that may not be leased any more; False if it may."""
    expires_at = row[_EXPIRES_AT]
    is_expired = expires_at is not None and expires_at <= now
    if not is_expired and not is_exhausted(row[_DELIVERY_COUNT] - 1, queue.policy):
        return False
    found = tx.row(row[0])
    assert found is not None, "it was found a moment ago"
    end = moves.expire if is_expired else moves.fail_exhausted
    ended.append(end(tx, found, now))
    return True


def _lease(tx: Transaction, queue: Queue, rows: Sequence[Any], now: int) -> list[Lease]:
    if not rows:
        return []
    tokens = secrets.token_bytes(_TOKEN_BYTES * len(rows))
    leases = [
        Lease(message_of(row, queue.name, now), tokens[start : start + _TOKEN_BYTES])
        for row, start in zip(rows, range(0, len(tokens), _TOKEN_BYTES), strict=True)
    ]
    tx.executemany(_LEASE, [_parameters(lease) for lease in leases])
    tx.counters.add(
        queue.id,
        pending=-len(leases),
        pending_bytes=-sum(len(lease.message.body) for lease in leases),
        processing=len(leases),
        total_delivered=len(leases),
    )
    return leases


def _parameters(lease: Lease) -> tuple[Any, ...]:
    message = lease.message
    return (
        message.visible_at,
        message.leased_by,
        message.updated_at,
        message.updated_at,
        message.delivery_count,
        message.first_delivered_at,
        lease.token,
        message.id,
    )


def _next_visible_at(tx: Transaction, queue: Queue, now: int) -> int | None:
    [found] = tx.execute(_NEXT_VISIBLE_AT, {"queue_id": queue.id, "now": now}).fetchone()
    return None if found is None else int(found)
