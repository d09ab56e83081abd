"""What moves a single message between states and queues. Each call keeps the books."""

from __future__ import annotations

from typing import Any

from broker import Ended, Queue
from msgspec.structs import replace

from broker_storage_sqlite.rows import BLOCKED, DONE, READY, SCHEDULED, Row, rank_of
from broker_storage_sqlite.transaction import Transaction


def shelf_of_pending(visible_at: int, grp: str | None, now: int) -> int:
    """Return the shelf of a message that becomes pending; regrouping puts the head forward."""
    if visible_at > now:
        return SCHEDULED
    return READY if grp is None else BLOCKED


def wait(tx: Transaction, row: Row, now: int, *, visible_at: int, **changes: Any) -> Row:
    """Make a message pending again, under no lease."""
    after = replace(
        row,
        status="pending",
        shelf=shelf_of_pending(visible_at, row.grp, now),
        visible_at=visible_at,
        leased_by=None,
        token=None,
        **changes,
    )
    tx.save(row, after, now)
    return after


def restart(
    tx: Transaction, row: Row, now: int, *, target: Queue, reason: str | None, origin: str | None
) -> Row:
    """Make a message pending in `target` as if it had never been delivered, without a ttl."""
    return wait(
        tx,
        row,
        now,
        visible_at=now,
        queue_id=target.id,
        rank=rank_of(row.priority, target.policy),
        expires_at=None,
        delivery_count=0,
        first_delivered_at=None,
        finished_at=None,
        reason=reason,
        origin_queue=origin,
    )


def fail(tx: Transaction, row: Row, reason: str, now: int) -> Ended:
    """End a message's life in failure, or begin its life as a dead letter."""
    tx.counters.add(row.queue_id, total_failed=1)
    queue = tx.queue_by_id(row.queue_id)
    target = _dead_letter(tx, row, queue, reason, now)
    if target is None:
        failed = {"status": "failed", "shelf": DONE, "finished_at": now, "token": None}
        tx.save(row, replace(row, **failed, reason=reason), now)
    return Ended(id=row.id, queue=queue.name, how="failed", reason=reason, moved_to=target)


def fail_exhausted(tx: Transaction, row: Row, now: int) -> Ended:
    """Fail a message that was delivered as often as its queue allows."""
    return fail(tx, row, f"not settled after {row.delivery_count} deliveries", now)


def expire(tx: Transaction, row: Row, now: int) -> Ended:
    """Remove a message whose ttl passed, or make it a dead letter."""
    tx.counters.add(row.queue_id, total_expired=1)
    queue, reason = tx.queue_by_id(row.queue_id), "ttl passed"
    target = _dead_letter(tx, row, queue, reason, now)
    if target is None:
        tx.remove(row)
    return Ended(id=row.id, queue=queue.name, how="expired", reason=reason, moved_to=target)


def count_lapse(tx: Transaction, row: Row, now: int) -> None:
    """Count the lapse of a lease if this message is touched before the lapse was noticed."""
    if row.status == "processing" and row.visible_at <= now:
        tx.counters.add(row.queue_id, total_lapsed=1)


def _dead_letter(tx: Transaction, row: Row, queue: Queue, reason: str, now: int) -> str | None:
    """Move a message to the dead letter queue of its queue; return its name if there is one."""
    name = queue.policy.dead_letter_queue
    target = None if name is None or name == queue.name else tx.find_queue(name)
    if target is None:
        return None
    tx.counters.add(row.queue_id, total_dead_lettered=1)
    origin = row.origin_queue or queue.name
    restart(tx, row, now, target=target, reason=reason, origin=origin)
    return target.name
