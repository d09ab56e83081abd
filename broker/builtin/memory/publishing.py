"""Publishing into memory: everything is checked before anything is stored."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from broker import NewMessage, PublishResult, QueueFull
from broker.builtin.memory.queue import MemoryQueue
from broker.builtin.memory.row import Row
from broker.builtin.memory.store import Store


class _Plan(msgspec.Struct):
    """What a batch will do: its results, and what is new in each queue, by id."""

    results: list[PublishResult]
    rows: list[Row]
    keys: dict[tuple[str, str], int]


def publish(store: Store, batch: Sequence[NewMessage], now: int) -> list[PublishResult]:
    """Store a batch; raises QueueNotFound or QueueFull before anything is changed."""
    plan = _plan(store, batch, now)
    added: dict[str, list[Row]] = {}
    for row in plan.rows:
        added.setdefault(row.queue, []).append(row)
    for name, rows in added.items():
        _demand_room(store.queues[name], rows)
    for row in plan.rows:
        _store(store, row, now)
    for name in added:
        _drop_oldest(store, store.queues[name])
    return plan.results


def _plan(store: Store, batch: Sequence[NewMessage], now: int) -> _Plan:
    plan = _Plan([], [], {})
    for message in batch:
        queue = store.queue(message.queue, now)
        first = _first_of_key(plan, queue, message, now)
        if first is not None:
            plan.results.append(PublishResult(first, duplicate=True))
            continue
        message_id = store.next_message_id + len(plan.rows)
        plan.rows.append(Row.new(message_id, message, now))
        plan.results.append(PublishResult(message_id))
        if message.dedup_key is not None:
            plan.keys[message.queue, message.dedup_key] = message_id
    return plan


def _first_of_key(plan: _Plan, queue: MemoryQueue, message: NewMessage, now: int) -> int | None:
    key = message.dedup_key
    if key is None or queue.policy.dedup_window == 0:
        return None
    return plan.keys.get((message.queue, key)) or queue.keys.find(key, now)


def _demand_room(queue: MemoryQueue, rows: Sequence[Row]) -> None:
    policy = queue.policy
    sizes = [len(row.body) for row in rows]
    if policy.max_bytes is not None and (
        max(sizes) > policy.max_bytes
        or (policy.overflow == "reject" and queue.pending_bytes + sum(sizes) > policy.max_bytes)
    ):
        raise QueueFull(queue.queue.name, f"max_bytes is {policy.max_bytes}")
    if (
        policy.max_messages is not None
        and policy.overflow == "reject"
        and len(queue.pending) + len(rows) > policy.max_messages
    ):
        raise QueueFull(queue.queue.name, f"max_messages is {policy.max_messages}")


def _store(store: Store, row: Row, now: int) -> None:
    queue = store.queues[row.queue]
    store.next_message_id = row.id + 1
    store.insert(row)
    queue.totals["published"] += 1
    if row.dedup_key is not None and queue.policy.dedup_window > 0:
        until = now + queue.policy.dedup_window * 1000
        queue.keys.remember(row.dedup_key, row.id, until=until)


def _drop_oldest(store: Store, queue: MemoryQueue) -> None:
    policy = queue.policy
    if policy.overflow != "drop_oldest":
        return
    while (policy.max_messages is not None and len(queue.pending) > policy.max_messages) or (
        policy.max_bytes is not None and queue.pending_bytes > policy.max_bytes
    ):
        oldest = queue.pending.first()
        assert oldest is not None, "a queue that is over its limits holds something"
        store.remove(store.rows[oldest], "dropped")
