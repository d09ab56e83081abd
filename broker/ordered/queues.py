"""Queues: making and listing them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from msgspec.structs import replace

from broker.errors import QueueExists, VersionMismatch
from broker.models import Queue, QueueSpec, QueueStatus
from broker.ordered import keys
from broker.ordered.records import decode_queue
from broker.ordered.transaction import Transaction


def put_queue(tx: Transaction, spec: QueueSpec, *, expect: int | None) -> Queue:
    """Make a queue or change its policy."""
    found = tx.find_queue(spec.name)
    if found is None:
        if expect:
            raise VersionMismatch(spec.name, expected=expect, found=None)
        return tx.put_queue(_new_queue(tx, spec))
    if expect == 0:
        raise QueueExists(spec.name)
    if expect is not None and expect != found.version:
        raise VersionMismatch(spec.name, expected=expect, found=found.version)
    changed = replace(found, policy=spec.policy, version=found.version + 1, updated_at=tx.now)
    return tx.put_queue(changed)


def _new_queue(tx: Transaction, spec: QueueSpec) -> Queue:
    queue_id = tx.ids.next_queue_id
    tx.ids.next_queue_id += 1
    return Queue(
        id=queue_id,
        name=spec.name,
        policy=spec.policy,
        version=1,
        created_at=tx.now,
        updated_at=tx.now,
    )


def drop_queue(tx: Transaction, name: str) -> bool:
    """Delete a queue; False if there was none."""
    queue = tx.find_queue(name)
    if queue is not None:
        tx.drop_queue(queue)
    return queue is not None


def get_queues(
    tx: Transaction, *, names: Sequence[str] | None, prefix: str, after: str | None, limit: int
) -> list[QueueStatus]:
    """List queues with what they hold, by name."""
    if names is not None:
        found = (tx.find_queue(name) for name in sorted(set(names)))
        queues = (queue for queue in found if queue is not None)
    else:
        first = max(keys.queue(prefix), b"" if after is None else keys.queue(after) + b"\0")
        kept = tx.data.scan(first, keys.after_all(keys.queue(prefix)))
        queues = (decode_queue(value) for _, value in kept)
    return [_status(tx, queue) for queue in islice(queues, limit)]


def _status(tx: Transaction, queue: Queue) -> QueueStatus:
    books = tx.books(queue.id)
    if tx.notice(queue.id):
        # There is too much to notice it all for one look. What follows only counts the rest.
        books.lapse(sum(1 for _ in tx.due(queue.id, keys.LEASED, tx.now)))
        books.scheduled -= sum(1 for _ in tx.due(queue.id, keys.SCHEDULED, tx.now))
    oldest = next(tx.in_order(queue.id, keys.READY_BY_ID), None)
    row = None if oldest is None else tx.row(oldest)
    since = None if row is None else max(row.enqueued_at, row.visible_at)
    return books.status(queue, oldest_at=since)
