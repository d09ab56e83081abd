"""Making, changing and dropping queues."""

from __future__ import annotations

import msgspec
from broker import Queue, QueueExists, QueuePolicy, QueueSpec, VersionMismatch

from broker_storage_sqlite.transaction import Transaction

_INSERT = """
INSERT INTO queues (name, created_at, updated_at, version, policy)
VALUES (:name, :now, :now, 1, :policy)
"""
_UPDATE = """
UPDATE queues SET policy = :policy, version = version + 1, updated_at = :now WHERE name = :name
"""
_RANK = """
UPDATE messages SET rank = {rank}
WHERE queue_id = ? AND status IN ('pending', 'processing') AND rank <> {rank}
"""


def put_queue(tx: Transaction, spec: QueueSpec, *, expect: int | None, now: int) -> Queue:
    """Make a queue or change its policy; raises QueueExists and VersionMismatch."""
    found = tx.find_queue(spec.name)
    if found is None:
        if expect:
            raise VersionMismatch(spec.name, expected=expect, found=None)
        statement = _INSERT
    else:
        if expect == 0:
            raise QueueExists(spec.name)
        if expect is not None and expect != found.version:
            raise VersionMismatch(spec.name, expected=expect, found=found.version)
        tx.forget_queue(found)
        statement = _UPDATE
    policy = msgspec.json.encode(spec.policy).decode()
    tx.execute(statement, {"name": spec.name, "policy": policy, "now": now})
    if found is not None and found.policy.ordering != spec.policy.ordering:
        _rank_anew(tx, found.id, spec.policy)
    return tx.queue(spec.name)


def drop_queue(tx: Transaction, name: str) -> bool:
    """Delete a queue; its messages and dedup keys go with it. False if there was none."""
    found = tx.find_queue(name)
    if found is None:
        return False
    tx.execute("DELETE FROM queues WHERE id = ?", (found.id,))
    tx.forget_queue(found)
    return True


def _rank_anew(tx: Transaction, queue_id: int, policy: QueuePolicy) -> None:
    rank = "priority" if policy.ordering == "priority" else "0"
    tx.execute(_RANK.format(rank=rank), (queue_id,))
