"""Settling: each operation is compared with the lease it names, then carried out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from broker import NewMessage, Settle, Settled, SettleResult, limits
from msgspec.structs import replace

from broker_storage_sqlite import moves
from broker_storage_sqlite.acks import Acks
from broker_storage_sqlite.publish import publish
from broker_storage_sqlite.rows import ROW_COLUMNS, Row, is_exhausted
from broker_storage_sqlite.transaction import Transaction, Undone

_MAX_LEASE_MS = 1000 * limits.MAX_LEASE_SECONDS

_ROWS = f"SELECT {ROW_COLUMNS} FROM messages WHERE id IN (SELECT value FROM json_each(?))"
_EXTEND = "UPDATE messages SET visible_at = ? WHERE id = ?"

_Outcome = Literal["ok", "stale", "expired", "wrong_state"]


def settle(
    tx: Transaction, ops: Sequence[Settle], batch: Sequence[NewMessage], now: int
) -> Settled:
    """Settle each by itself; with a batch to publish, all or nothing."""
    settling = _Settling(tx, ops, now)
    results = [settling.settle(op) for op in ops]
    settling.acks.write(tx, now)
    if not batch:
        return Settled(results=results)
    if any(result.outcome != "ok" for result in results):
        raise Undone(Settled(results=results))
    return Settled(results=results, published=publish(tx, batch, now))


class _Settling:
    """One call: it reads all rows at once, and writes plain acks at once."""

    def __init__(self, tx: Transaction, ops: Sequence[Settle], now: int) -> None:
        self._tx = tx
        self._now = now
        self.acks = Acks()
        ids = json.dumps([op.id for op in ops])
        self._rows = {row[0]: Row(*row) for row in tx.execute(_ROWS, (ids,)).fetchall()}

    def settle(self, op: Settle) -> SettleResult:
        """Carry out one operation, if its lease allows it."""
        row = self._row(op.id)
        if row is None:
            return SettleResult(id=op.id, outcome="not_found")
        outcome = self._outcome(row, op)
        if outcome != "ok":
            return SettleResult(id=op.id, outcome=outcome)
        if row.status == "processed":
            return SettleResult(id=op.id, outcome="ok", state="processed", queue=op.queue)
        return self._carry_out(row, op)

    def _row(self, message_id: int) -> Row | None:
        row = self._rows.pop(message_id, None)
        if row is not None:
            return row
        # An earlier operation of this call may have changed it.
        self.acks.write(self._tx, self._now)
        return self._tx.row(message_id)

    def _outcome(self, row: Row, op: Settle) -> _Outcome:
        if self._tx.queue_by_id(row.queue_id).name != op.queue:
            return "stale"
        if op.token is not None and op.token != row.token:
            return "stale"
        if row.is_live(self._now):
            return "ok"
        if row.is_lapsed(self._now):
            return "ok" if op.kind == "ack" else "expired"
        # Only an acked message still has its token here, so that the same ack can be repeated.
        return "ok" if op.token is not None and op.kind == "ack" else "wrong_state"

    def _carry_out(self, row: Row, op: Settle) -> SettleResult:
        if op.kind == "ack":
            return self._ack(row, op)
        if op.kind == "extend":
            return self._extend(row, op)
        if op.kind == "retry":
            return self._retry(row, op)
        if op.kind == "release":
            return self._release(row, op)
        return self._fail(row, op.reason or "rejected")

    def _ack(self, row: Row, op: Settle) -> SettleResult:
        self.acks.add(row)
        if self._tx.queue_by_id(row.queue_id).policy.retain_processed == 0:
            return SettleResult(id=op.id, outcome="ok")
        return SettleResult(id=op.id, outcome="ok", state="processed", queue=op.queue)

    def _extend(self, row: Row, op: Settle) -> SettleResult:
        assert row.leased_at is not None, "a live lease has begun"
        wished = row.visible_at if op.visible_at is None else op.visible_at
        visible_at = max(row.visible_at, min(wished, row.leased_at + _MAX_LEASE_MS))
        self._tx.execute(_EXTEND, (visible_at, row.id))
        return SettleResult(
            id=op.id, outcome="ok", state="processing", queue=op.queue, visible_at=visible_at
        )

    def _retry(self, row: Row, op: Settle) -> SettleResult:
        if is_exhausted(row.delivery_count, self._tx.queue_by_id(row.queue_id).policy):
            return self._fail(row, op.reason or f"gave up after {row.delivery_count} deliveries")
        self._tx.counters.add(row.queue_id, total_retried=1)
        visible_at = self._now if op.visible_at is None else op.visible_at
        reason = row.reason if op.reason is None else op.reason
        moves.wait(self._tx, row, self._now, visible_at=visible_at, reason=reason)
        return SettleResult(
            id=op.id, outcome="ok", state="pending", queue=op.queue, visible_at=visible_at
        )

    def _release(self, row: Row, op: Settle) -> SettleResult:
        self._tx.counters.add(row.queue_id, total_released=1)
        left = row.delivery_count - 1
        before = row if left else replace(row, first_delivered_at=None)
        moves.wait(self._tx, before, self._now, visible_at=self._now, delivery_count=left)
        return SettleResult(id=op.id, outcome="ok", state="pending", queue=op.queue)

    def _fail(self, row: Row, reason: str) -> SettleResult:
        """End a message in failure, or make it a dead letter elsewhere."""
        ended = moves.fail(self._tx, row, reason, self._now)
        return SettleResult(
            id=row.id,
            outcome="ok",
            state="failed" if ended.moved_to is None else "pending",
            queue=ended.moved_to or ended.queue,
            reason=reason,
        )
