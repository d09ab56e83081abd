"""Groups: of each, only the head can be ready, and only while none of it is leased."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from broker_storage_sqlite.statements import Statements

# As the index says it: with "shelf > 0" SQLite would walk all of the group.
_MEMBERS = "FROM messages WHERE queue_id = :queue_id AND grp = :grp AND shelf <> 0"

_FIRST_BY_SHELF = f"""
SELECT
    (SELECT min(id) {_MEMBERS} AND shelf = 1),
    (SELECT min(id) {_MEMBERS} AND shelf = 2),
    (SELECT min(id) {_MEMBERS} AND shelf = 3),
    (SELECT min(id) {_MEMBERS} AND shelf = 4)
"""

_HAS_UNFINISHED = f"SELECT 1 {_MEMBERS} LIMIT 1"


def has_unfinished(sql: Statements, queue_id: int, grp: str) -> bool:
    """Tell whether a queue holds a message of the group that is neither processed nor failed."""
    return sql.execute(_HAS_UNFINISHED, {"queue_id": queue_id, "grp": grp}).fetchone() is not None


def regroup(sql: Statements | sqlite3.Connection, groups: Iterable[tuple[int, str]]) -> None:
    """Make the right message of each (queue id, group) ready after something left or joined it.

    A visible message that joins a group is put on the shelf of the blocked ones first.
    """
    for queue_id, grp in groups:
        _regroup(sql, queue_id, grp)


def _regroup(sql: Statements | sqlite3.Connection, queue_id: int, grp: str) -> None:
    firsts = sql.execute(_FIRST_BY_SHELF, {"queue_id": queue_id, "grp": grp}).fetchone()
    ready, scheduled, leased, blocked = firsts
    head = min((first for first in firsts if first is not None), default=None)
    wanted = head if leased is None and head != scheduled else None
    if wanted == ready:
        return
    if ready is not None:
        sql.execute("UPDATE messages SET shelf = 4 WHERE id = ?", (ready,))
    if wanted is not None:
        assert wanted == blocked, "a head is ready, scheduled, leased or blocked"
        sql.execute("UPDATE messages SET shelf = 1 WHERE id = ?", (wanted,))
