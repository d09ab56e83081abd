"""Publishing: stored one by one, and forgotten together if the batch does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from broker.errors import QueueFull
from broker.models import NewMessage, PublishResult, Queue
from broker.ordered import keys, moves
from broker.ordered.records import DedupKey, Row, decode_dedup_key, encode
from broker.ordered.transaction import Transaction

FORGOTTEN = 4
"""How many dedup keys whose time is over each new one makes the queue forget."""


def publish(tx: Transaction, batch: Sequence[NewMessage]) -> list[PublishResult]:
    """Store a batch; if this raises QueueNotFound or QueueFull, the transaction must not end."""
    results: list[PublishResult] = []
    largest: dict[str, int] = {}
    for message in batch:
        queue = tx.queue(message.queue)
        first = _first_of_key(tx, queue, message)
        if first is None:
            size = len(message.body)
            largest[queue.name] = max(size, largest.get(queue.name, size))
            results.append(PublishResult(_store(tx, queue, message)))
        else:
            results.append(PublishResult(first, duplicate=True))
    for name, size in largest.items():
        _hold_to_limits(tx, tx.queue(name), size)
    return results


def _store(tx: Transaction, queue: Queue, message: NewMessage) -> int:
    message_id = tx.ids.next_message_id
    tx.ids.next_message_id += 1
    tx.insert(Row.new(message_id, message, queue, tx.now), message.body)
    tx.books(queue.id).count("published")
    if message.dedup_key is not None and queue.policy.dedup_window > 0:
        forget_keys(tx, queue, FORGOTTEN)
        _remember(tx, queue, message.dedup_key, message_id)
    return message_id


def _first_of_key(tx: Transaction, queue: Queue, message: NewMessage) -> int | None:
    if message.dedup_key is None or queue.policy.dedup_window == 0:
        return None
    known = _known(tx, queue, keys.digest(message.dedup_key))
    return None if known is None or known.until <= tx.now else known.message_id


def _known(tx: Transaction, queue: Queue, digest: bytes) -> DedupKey | None:
    found = tx.data.get(keys.of_queue(queue.id, keys.DEDUP) + digest)
    return None if found is None else decode_dedup_key(found)


def _remember(tx: Transaction, queue: Queue, key: str, message_id: int) -> None:
    digest = keys.digest(key)
    over = _known(tx, queue, digest)
    ends = keys.of_queue(queue.id, keys.DEDUP_END)
    if over is not None:
        tx.data.delete(ends + keys.number(over.until) + digest)
    until = tx.now + queue.policy.dedup_window * 1000
    tx.data.put(keys.of_queue(queue.id, keys.DEDUP) + digest, encode(DedupKey(message_id, until)))
    tx.data.put(ends + keys.number(until) + digest)


def forget_keys(tx: Transaction, queue: Queue, limit: int) -> None:
    """Forget dedup keys whose time is over."""
    ends = keys.of_queue(queue.id, keys.DEDUP_END)
    over = islice(tx.data.scan(ends, ends + keys.number(tx.now + 1)), limit)
    for end in [key for key, _ in over]:
        tx.data.delete(end)
        tx.data.delete(keys.of_queue(queue.id, keys.DEDUP) + end[-16:])


def _hold_to_limits(tx: Transaction, queue: Queue, largest: int) -> None:
    policy = queue.policy
    if policy.max_messages is None and policy.max_bytes is None:
        return
    while tx.notice(queue.id):
        pass  # what lapsed is pending again, and counts
    if policy.max_bytes is not None and largest > policy.max_bytes:
        raise QueueFull(queue.name, f"max_bytes is {policy.max_bytes}")
    if policy.overflow == "drop_oldest":
        _drop_oldest(tx, queue)
    elif _bytes_over(tx, queue) > 0:
        raise QueueFull(queue.name, f"max_bytes is {policy.max_bytes}")
    elif _messages_over(tx, queue) > 0:
        raise QueueFull(queue.name, f"max_messages is {policy.max_messages}")


def _drop_oldest(tx: Transaction, queue: Queue) -> None:
    oldest = tx.in_order(queue.id, keys.BY_STATE["pending"])
    while _messages_over(tx, queue) > 0 or _bytes_over(tx, queue) > 0:
        row = tx.row(next(oldest))
        assert row is not None, "an order names only what is there"
        moves.remove(tx, row, "dropped")


def _messages_over(tx: Transaction, queue: Queue) -> int:
    allowed = queue.policy.max_messages
    return 0 if allowed is None else tx.books(queue.id).held.get("pending", 0) - allowed


def _bytes_over(tx: Transaction, queue: Queue) -> int:
    allowed = queue.policy.max_bytes
    return 0 if allowed is None else tx.books(queue.id).pending_bytes - allowed
