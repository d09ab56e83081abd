"""Settling: each operation by itself; with a batch to publish, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence

from broker.limits import MAX_LEASE_SECONDS
from broker.models import NewMessage, Settle, Settled, SettleOutcome, SettleResult
from broker.ordered import moves
from broker.ordered.publishing import publish
from broker.ordered.records import Row
from broker.ordered.transaction import Transaction

MAX_LEASE_MS = 1000 * MAX_LEASE_SECONDS


def settle(tx: Transaction, ops: Sequence[Settle], batch: Sequence[NewMessage]) -> Settled:
    """Carry out operations, and publish a batch if all of them are ok."""
    if not batch:
        return Settled(results=[_settle(tx, op) for op in ops])
    attempt = Transaction(tx.data, tx.now)
    results = [_settle(attempt, op) for op in ops]
    if any(result.outcome != "ok" for result in results):
        return Settled(results=results)
    published = publish(attempt, batch)
    attempt.end()
    return Settled(results=results, published=published)


def _settle(tx: Transaction, op: Settle) -> SettleResult:
    row = tx.find(op.id)
    outcome = _outcome(row, op)
    if row is None or outcome != "ok":
        return SettleResult(id=op.id, outcome=outcome)
    reason = _failure(tx, row, op)
    if reason is not None:
        moves.fail(tx, row, reason)
    else:
        _CHANGES[op.kind](tx, row, op)
    after = tx.row(row.id)
    if after is None:
        return SettleResult(id=op.id, outcome="ok")
    has_time = reason is None and op.kind in {"retry", "extend"}
    return SettleResult(
        id=op.id,
        outcome="ok",
        state=after.state,
        queue=after.queue,
        visible_at=after.visible_at if has_time else None,
        reason=reason,
    )


def _outcome(row: Row | None, op: Settle) -> SettleOutcome:
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


def _failure(tx: Transaction, row: Row, op: Settle) -> str | None:
    """Return why an operation makes a message fail, None if it does not."""
    if op.kind == "reject":
        return op.reason or "rejected"
    if op.kind == "retry" and row.is_exhausted(tx.queue(row.queue).policy):
        return op.reason or f"gave up after {row.delivery_count} deliveries"
    return None


def _ack(tx: Transaction, row: Row, _: Settle) -> None:
    if row.state == "processed":
        return
    if tx.queue(row.queue).policy.retain_processed == 0:
        moves.remove(tx, row, "acked")
        return
    tx.books(row.queue_id).count("acked")
    tx.change(row, state="processed", is_scheduled=False, finished_at=tx.now, updated_at=tx.now)


def _retry(tx: Transaction, row: Row, op: Settle) -> None:
    tx.books(row.queue_id).count("retried")
    until = tx.now if op.visible_at is None else op.visible_at
    reason = row.reason if op.reason is None else op.reason
    moves.wait(tx, row, until=until, reason=reason)


def _release(tx: Transaction, row: Row, _: Settle) -> None:
    tx.books(row.queue_id).count("released")
    count = row.delivery_count - 1
    first = row.first_delivered_at if count else None
    moves.wait(tx, row, until=tx.now, delivery_count=count, first_delivered_at=first)


def _extend(tx: Transaction, row: Row, op: Settle) -> None:
    wished = row.visible_at if op.visible_at is None else op.visible_at
    latest = row.leased_at + MAX_LEASE_MS
    tx.change(row, visible_at=max(row.visible_at, min(wished, latest)))


_CHANGES = {"ack": _ack, "retry": _retry, "release": _release, "extend": _extend}
