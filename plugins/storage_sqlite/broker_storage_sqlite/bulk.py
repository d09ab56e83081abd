"""Bulk: removing and bringing back what a query names."""

from __future__ import annotations

from typing import Literal

from broker import BulkResult, MessageQuery

from broker_storage_sqlite import moves
from broker_storage_sqlite.rows import ROW_COLUMNS, Row
from broker_storage_sqlite.selection import Selection, select, select_redrivable
from broker_storage_sqlite.transaction import Transaction


def bulk(
    tx: Transaction,
    query: MessageQuery,
    action: Literal["delete", "redrive"],
    *,
    now: int,
    limit: int,
) -> list[BulkResult]:
    """Do it to at most `limit` messages; return to which."""
    if action == "delete":
        # By age, there is an index that leads straight to what is old, but not by id.
        in_order = query.finished_before is None
        selection = select(query, now=now, limit=limit, text=query.text, in_order=in_order)
        return _delete(tx, selection, now)
    return _redrive(tx, select_redrivable(query, now=now, limit=limit), now)


def _delete(tx: Transaction, selection: Selection, now: int) -> list[BulkResult]:
    rows = _rows(tx, selection)
    tx.executemany("DELETE FROM messages WHERE id = ?", [(row.id,) for row in rows])
    for row in rows:
        moves.count_lapse(tx, row, now)
        tx.uncount(row)
        tx.counters.add(row.queue_id, total_deleted=1)
    return [BulkResult(id=row.id, queue=tx.queue_by_id(row.queue_id).name) for row in rows]


def _redrive(tx: Transaction, selection: Selection, now: int) -> list[BulkResult]:
    results: list[BulkResult] = []
    for row in _rows(tx, selection):
        moves.count_lapse(tx, row, now)
        tx.counters.add(row.queue_id, total_redriven=1)
        origin = row.origin_queue or tx.queue_by_id(row.queue_id).name
        moves.restart(tx, row, now, target=tx.queue(origin), reason=None, origin=None)
        results.append(BulkResult(id=row.id, queue=origin))
    return results


def _rows(tx: Transaction, selection: Selection) -> list[Row]:
    found = tx.execute(
        f"SELECT {ROW_COLUMNS} FROM messages WHERE id IN ({selection.sql})",
        selection.parameters,
    )
    return [Row(*row) for row in found.fetchall()]
