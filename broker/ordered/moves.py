"""What moves a single message between states and queues."""

from __future__ import annotations

from typing import Any

from broker.models import Ended, Queue
from broker.ordered.records import Row
from broker.ordered.transaction import Transaction


def wait(tx: Transaction, row: Row, *, until: int, **changes: Any) -> Row:
    """Make a message pending, under no lease."""
    return tx.change(
        row,
        state="pending",
        visible_at=until,
        is_scheduled=until > tx.now,
        leased_by=None,
        token=None,
        updated_at=tx.now,
        **changes,
    )


def fail(tx: Transaction, row: Row, reason: str) -> Ended:
    """End a message's life in failure, or begin its life as a dead letter."""
    tx.books(row.queue_id).count("failed")
    target = _dead_letter(tx, row, reason)
    if target is None:
        tx.change(
            row,
            state="failed",
            token=None,
            reason=reason,
            is_scheduled=False,
            finished_at=tx.now,
            updated_at=tx.now,
        )
    return Ended(id=row.id, queue=row.queue, how="failed", reason=reason, moved_to=target)


def fail_exhausted(tx: Transaction, row: Row) -> Ended:
    """Fail a message that was delivered as often as its queue allows."""
    return fail(tx, row, f"not settled after {row.delivery_count} deliveries")


def expire(tx: Transaction, row: Row) -> Ended:
    """Remove a message whose ttl passed, or make it a dead letter."""
    reason = "ttl passed"
    tx.books(row.queue_id).count("expired")
    target = _dead_letter(tx, row, reason)
    if target is None:
        tx.remove(row)
    return Ended(id=row.id, queue=row.queue, how="expired", reason=reason, moved_to=target)


def remove(tx: Transaction, row: Row, event: str) -> None:
    """Remove a message, counting why."""
    tx.books(row.queue_id).count(event)
    tx.remove(row)


def can_redrive(tx: Transaction, row: Row) -> bool:
    """Tell whether a message failed or is a dead letter, and has a queue to go back to."""
    is_letter = row.state == "pending" and row.origin_queue is not None
    return (row.state == "failed" or is_letter) and tx.find_queue(_home(row)) is not None


def redrive(tx: Transaction, row: Row) -> Row:
    """Bring back a message that `can_redrive`."""
    tx.books(row.queue_id).count("redriven")
    return _begin_anew(tx, row, tx.queue(_home(row)), reason=None, origin_queue=None)


def _home(row: Row) -> str:
    return row.origin_queue or row.queue


def _dead_letter(tx: Transaction, row: Row, reason: str) -> str | None:
    """Move a message to the dead letter queue of its queue; return its name if there is one."""
    name = tx.queue(row.queue).policy.dead_letter_queue
    target = None if name is None or name == row.queue else tx.find_queue(name)
    if target is None:
        return None
    tx.books(row.queue_id).count("dead_lettered")
    _begin_anew(tx, row, target, reason=reason, origin_queue=_home(row))
    return target.name


def _begin_anew(tx: Transaction, row: Row, target: Queue, **changes: Any) -> Row:
    """Make a message pending in a queue as if it had never been delivered, without a ttl."""
    return wait(
        tx,
        row,
        until=tx.now,
        queue=target.name,
        queue_id=target.id,
        expires_at=None,
        delivery_count=0,
        first_delivered_at=None,
        finished_at=None,
        **changes,
    )
