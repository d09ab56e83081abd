"""Publishing: dedup, limits, and one insert for the whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from broker import NewMessage, PublishResult, Queue, QueueFull

from broker_storage_sqlite.groups import has_unfinished
from broker_storage_sqlite.moves import count_lapse, shelf_of_pending
from broker_storage_sqlite.rows import READY, SCHEDULED, rank_of
from broker_storage_sqlite.transaction import Transaction

_FIND_KEY = "SELECT message_id FROM dedup WHERE queue_id = ? AND key = ? AND expires_at > ?"
_REMEMBER_KEY = "INSERT OR REPLACE INTO dedup VALUES (?, ?, ?, ?)"
_LAPSED = """
SELECT count(*), coalesce(sum(length(content)), 0) FROM messages
WHERE queue_id = ? AND shelf = 3 AND visible_at <= ?
"""
_OLDEST = """
SELECT id FROM (
    SELECT id FROM messages WHERE queue_id = :queue_id AND status = 'pending'
    UNION ALL
    SELECT id FROM messages WHERE queue_id = :queue_id AND shelf = 3 AND visible_at <= :now
) ORDER BY id LIMIT 1
"""

_New = list[tuple[int, NewMessage]]


def publish(tx: Transaction, batch: Sequence[NewMessage], now: int) -> list[PublishResult]:
    """Store a batch; raises QueueNotFound and QueueFull."""
    queues = {name: tx.queue(name) for name in dict.fromkeys(message.queue for message in batch)}
    results: list[PublishResult] = []
    new: dict[str, _New] = {}
    for message in batch:
        first = _find_key(tx, queues[message.queue], message, now)
        if first is not None:
            results.append(PublishResult(first, duplicate=True))
            continue
        message_id = tx.new_id()
        results.append(PublishResult(message_id))
        new.setdefault(message.queue, []).append((message_id, message))
        _remember_key(tx, queues[message.queue], message, message_id, now)
    for name, messages in new.items():
        _publish(tx, queues[name], messages, now)
    return results


def _publish(tx: Transaction, queue: Queue, messages: _New, now: int) -> None:
    sizes = [len(message.body) for _, message in messages]
    has_limits = queue.policy.max_messages is not None or queue.policy.max_bytes is not None
    if has_limits:
        _demand_room(tx, queue, sizes, now)
    rows = _rows(tx, queue, messages, now)
    tx.insert(rows)
    tx.counters.add(
        queue.id,
        pending=len(rows),
        scheduled=sum(row[2] == SCHEDULED for row in rows),
        bytes=sum(sizes),
        pending_bytes=sum(sizes),
        total_published=len(rows),
    )
    if has_limits and queue.policy.overflow == "drop_oldest":
        _drop_oldest(tx, queue, now)


def _rows(tx: Transaction, queue: Queue, messages: _New, now: int) -> list[tuple[Any, ...]]:
    groups: set[str] = set()
    return [
        (
            message_id,
            queue.id,
            _shelf(tx, queue, message, groups, now),
            rank_of(message.priority, queue.policy),
            message.priority,
            now,
            now,
            message.visible_at,
            message.expires_at,
            message.group,
            message.dedup_key,
            message.content_type,
            msgspec.json.encode(message.headers).decode() if message.headers else "{}",
            message.body,
        )
        for message_id, message in messages
    ]


def _shelf(tx: Transaction, queue: Queue, message: NewMessage, groups: set[str], now: int) -> int:
    """Return the shelf of a new message: it has the highest id, so it is behind all others.

    `groups` are those of the messages before it in the batch.
    """
    shelf = shelf_of_pending(message.visible_at, message.group, now)
    if message.group is None or message.group in groups:
        return shelf
    groups.add(message.group)
    if shelf == SCHEDULED or has_unfinished(tx.statements, queue.id, message.group):
        return shelf
    return READY


def _find_key(tx: Transaction, queue: Queue, message: NewMessage, now: int) -> int | None:
    """Return the id of the message that used this dedup key first, if it is remembered."""
    if message.dedup_key is None or queue.policy.dedup_window == 0:
        return None
    found = tx.execute(_FIND_KEY, (queue.id, message.dedup_key, now)).fetchone()
    return None if found is None else int(found[0])


def _remember_key(
    tx: Transaction, queue: Queue, message: NewMessage, message_id: int, now: int
) -> None:
    if message.dedup_key is not None and queue.policy.dedup_window > 0:
        until = now + queue.policy.dedup_window * 1000
        tx.execute(_REMEMBER_KEY, (queue.id, message.dedup_key, message_id, until))


def _demand_room(tx: Transaction, queue: Queue, sizes: Sequence[int], now: int) -> None:
    policy = queue.policy
    held, held_bytes = _pending(tx, queue, now)
    rejects = policy.overflow == "reject"
    if policy.max_bytes is not None and (
        max(sizes) > policy.max_bytes or (rejects and held_bytes + sum(sizes) > policy.max_bytes)
    ):
        raise QueueFull(queue.name, f"max_bytes is {policy.max_bytes}")
    if policy.max_messages is not None and rejects and held + len(sizes) > policy.max_messages:
        raise QueueFull(queue.name, f"max_messages is {policy.max_messages}")


def _drop_oldest(tx: Transaction, queue: Queue, now: int) -> None:
    most, most_bytes = queue.policy.max_messages, queue.policy.max_bytes
    held, held_bytes = _pending(tx, queue, now)
    while (most is not None and held > most) or (
        most_bytes is not None and held_bytes > most_bytes
    ):
        [oldest] = tx.execute(_OLDEST, {"queue_id": queue.id, "now": now}).fetchone()
        row = tx.row(oldest)
        assert row is not None, "it was found a moment ago"
        count_lapse(tx, row, now)
        tx.remove(row)
        tx.counters.add(queue.id, total_dropped=1)
        held, held_bytes = held - 1, held_bytes - row.size


def _pending(tx: Transaction, queue: Queue, now: int) -> tuple[int, int]:
    """Return how many messages are pending and their bytes, with lapses that nobody noticed."""
    count, size = tx.execute(_LAPSED, (queue.id, now)).fetchone()
    return (
        tx.counter(queue.id, "pending") + count,
        tx.counter(queue.id, "pending_bytes") + size,
    )
