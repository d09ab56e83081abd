"""What the first upkeep after a start does: believe the clock, not the times that it left."""

from __future__ import annotations

from broker_storage_sqlite.transaction import Transaction

_RETIME = """
UPDATE messages SET visible_at = visible_at - leased_at + :now, leased_at = :now
WHERE id IN (
    SELECT m.id FROM queues AS q CROSS JOIN messages AS m
    WHERE m.queue_id = q.id AND m.shelf = 3 AND m.leased_at > :now
)
"""


def retime_leases(tx: Transaction, now: int) -> None:
    """Let leases that were taken later than `now` begin now.

    The system clock was put back while the broker was down. Without this a message whose consumer
    is gone would be held for as long as that step, which may be a day.
    """
    tx.execute(_RETIME, {"now": now})
