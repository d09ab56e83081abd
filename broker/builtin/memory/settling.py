"""Settling in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from broker import BrokerError, NewMessage, Settle, Settled, SettleResult, limits
from broker.builtin.memory.publishing import publish
from broker.builtin.memory.row import Row
from broker.builtin.memory.store import Saved, Store

MAX_LEASE_MS = 1000 * limits.MAX_LEASE_SECONDS

Outcome = Literal["ok", "not_found", "stale", "expired", "wrong_state"]


def settle(store: Store, ops: Sequence[Settle], batch: Sequence[NewMessage], now: int) -> Settled:
    """Settle each by itself; with a batch to publish, all or nothing."""
    if not batch:
        return Settled(results=[_settle(store, op, now) for op in ops])
    saved: list[Saved] = []
    results: list[SettleResult] = []
    for op in ops:
        row = store.find(op.id, now)
        if row is not None:
            saved.append(store.save(row))
        results.append(_settle(store, op, now))
    if any(result.outcome != "ok" for result in results):
        _undo(store, saved)
        return Settled(results=results)
    try:
        published = publish(store, batch, now)
    except BrokerError:
        _undo(store, saved)
        raise
    return Settled(results=results, published=published)


def _undo(store: Store, saved: Sequence[Saved]) -> None:
    for before in reversed(saved):
        store.restore(before)


def _settle(store: Store, op: Settle, now: int) -> SettleResult:
    row = store.find(op.id, now)
    outcome = _outcome(row, op)
    if row is None or outcome != "ok":
        return SettleResult(id=op.id, outcome=outcome)
    visible_at = None
    reason = _failure(store, row, op)
    if reason is not None:
        store.fail(row, reason, now)
    elif op.kind == "ack":
        _ack(store, row, now)
    elif op.kind == "retry":
        visible_at = _retry(store, row, op, now)
    elif op.kind == "extend":
        visible_at = _extend(store, row, op)
    else:
        _release(store, row, now)
    if row.id not in store.rows:
        return SettleResult(id=op.id, outcome="ok")
    return SettleResult(
        id=op.id,
        outcome="ok",
        state=row.state,
        queue=row.queue,
        visible_at=visible_at,
        reason=reason,
    )


def _outcome(row: Row | None, op: Settle) -> Outcome:
    if row is None:
        return "not_found"
    if row.queue != op.queue:
        return "stale"
    if op.token is not None and op.token != row.token:
        return "stale"
    if row.state == "processing":
        return "ok"
    if row.is_lapsed:
        return "ok" if op.kind == "ack" else "expired"
    # Only an acked row still has its token here, so that the same ack can be repeated.
    return "ok" if op.token is not None and op.kind == "ack" else "wrong_state"


def _failure(store: Store, row: Row, op: Settle) -> str | None:
    """Return why an operation makes a message fail, None if it does not."""
    if op.kind == "reject":
        return op.reason or "rejected"
    if op.kind == "retry" and row.is_exhausted(store.queues[row.queue].policy):
        return op.reason or f"gave up after {row.delivery_count} deliveries"
    return None


def _ack(store: Store, row: Row, now: int) -> None:
    if row.state == "processed":
        return
    queue = store.queues[row.queue]
    queue.totals["acked"] += 1
    if queue.policy.retain_processed == 0:
        store.remove(row)
        return
    queue.lift(row)
    row.finish("processed", now=now)
    queue.place(row)


def _retry(store: Store, row: Row, op: Settle, now: int) -> int:
    store.queues[row.queue].totals["retried"] += 1
    if op.reason is not None:
        row.reason = op.reason
    store.wait(row, until=now if op.visible_at is None else op.visible_at, now=now)
    return row.visible_at


def _release(store: Store, row: Row, now: int) -> None:
    store.queues[row.queue].totals["released"] += 1
    row.delivery_count -= 1
    if row.delivery_count == 0:
        row.first_delivered_at = None
    store.wait(row, until=now, now=now)


def _extend(store: Store, row: Row, op: Settle) -> int:
    queue = store.queues[row.queue]
    queue.lift(row)
    wished = row.visible_at if op.visible_at is None else op.visible_at
    row.visible_at = max(row.visible_at, min(wished, row.leased_at + MAX_LEASE_MS))
    queue.place(row)
    return row.visible_at
