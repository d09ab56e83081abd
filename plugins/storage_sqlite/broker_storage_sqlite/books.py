"""The books of a store compared with what it holds: counters, ids, ranks, keys; and mending them.

Every function reads all rows, so this is for `broker db check`, not for serving.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from broker_storage_sqlite.counters import HELD
from broker_storage_sqlite.rows import QUEUE_COLUMNS, queue_of

Kind = Literal[
    "file", "agreement", "schema", "policy", "reference", "key", "counter", "id", "shelf", "rank"
]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, as a sentence; `is_repairable` if `--repair` mends it."""

    kind: Kind
    text: str
    queue: str | None = None
    is_repairable: bool = True

    def line(self) -> str:
        """Return the sentence, with the queue that it is about."""
        return self.text if self.queue is None else f"{self.queue}: {self.text}"


_IS = {
    "pending": "m.status = 'pending'",
    "scheduled": "m.shelf = 2",
    "processing": "m.status = 'processing'",
    "processed": "m.status = 'processed'",
    "failed": "m.status = 'failed'",
    "bytes": "length(m.content)",
    "pending_bytes": "CASE m.status WHEN 'pending' THEN length(m.content) ELSE 0 END",
}
_COUNTED = ", ".join(f"coalesce(sum({_IS[column]}), 0)" for column in HELD)
_RECOUNT = f"""
SELECT q.name, {", ".join(f"q.{column}" for column in HELD)}, {_COUNTED}
FROM queues AS q LEFT JOIN messages AS m ON m.queue_id = q.id GROUP BY q.id ORDER BY q.name
"""
_SET = f"""
UPDATE queues AS q SET ({", ".join(HELD)}) = (
    SELECT {_COUNTED} FROM messages AS m WHERE m.queue_id = q.id
)
"""

_RANK = """
CASE (SELECT json_extract(policy, '$.ordering') FROM queues WHERE id = messages.queue_id)
    WHEN 'priority' THEN priority ELSE 0 END
"""
_WITH_RANK = f"""
FROM messages WHERE status IN ('pending', 'processing') AND rank <> {_RANK}
"""
_MISRANKED = f"""
SELECT q.name, count(*) FROM queues AS q JOIN (SELECT queue_id {_WITH_RANK}) AS m
    ON m.queue_id = q.id GROUP BY q.id ORDER BY q.name
"""
_RANK_ANEW = f"""
UPDATE messages SET rank = {_RANK}
WHERE status IN ('pending', 'processing') AND rank <> {_RANK}
"""

_ORPHANS = "FROM {table} WHERE queue_id NOT IN (SELECT id FROM queues)"
_LAST_ID = """
SELECT coalesce((SELECT max(id) FROM {table}), 0),
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0)
"""
_NUMBERED = ("queues", "messages")


def find_unreadable_policies(sql: sqlite3.Connection) -> Iterator[Finding]:
    """Yield what keeps a queue from being read at all."""
    for row in sql.execute(f"SELECT {QUEUE_COLUMNS} FROM queues ORDER BY name"):
        try:
            queue_of(row)
        except (msgspec.DecodeError, UnicodeError) as error:
            text = f"its policy cannot be read ({error})"
            yield Finding(kind="policy", queue=row[1], text=text, is_repairable=False)


def find_mistakes(sql: sqlite3.Connection) -> Iterator[Finding]:
    """Yield what the books say and the rows do not."""
    [orphans] = _one(sql, f"SELECT count(*) {_ORPHANS.format(table='messages')}")
    if orphans:
        text = f"{orphans} messages are in no queue; only a backup brings their queue back"
        yield Finding(kind="reference", text=text, is_repairable=False)
    [keys] = _one(sql, f"SELECT count(*) {_ORPHANS.format(table='dedup')}")
    if keys:
        yield Finding(kind="key", text=f"{keys} dedup keys are of no queue")
    for table in _NUMBERED:
        last, counted = _one(sql, _LAST_ID.format(table=table))
        if counted < last:
            text = f"the next id in {table} would be {counted + 1}, but {last} was given already"
            yield Finding(kind="id", text=text)
    yield from _find_miscounted(sql)
    for queue, count in sql.execute(_MISRANKED):
        text = f"{count} messages have a rank that its ordering does not give them"
        yield Finding(kind="rank", queue=queue, text=text)


def correct(sql: sqlite3.Connection) -> None:
    """Write the books anew; the caller's transaction makes it one change."""
    sql.execute(f"DELETE {_ORPHANS.format(table='dedup')}")
    for table in _NUMBERED:
        last, counted = _one(sql, _LAST_ID.format(table=table))
        if counted < last:
            sql.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            sql.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))
    sql.execute(_RANK_ANEW)
    sql.execute(_SET)


def _find_miscounted(sql: sqlite3.Connection) -> Iterator[Finding]:
    for queue, *numbers in sql.execute(_RECOUNT):
        pairs = zip(HELD, numbers, numbers[len(HELD) :], strict=False)
        for column, stored, counted in pairs:
            if stored != counted:
                text = f"counter {column} is {stored}, but its messages make {counted}"
                yield Finding(kind="counter", queue=queue, text=text)


def _one(sql: sqlite3.Connection, query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = sql.execute(query).fetchone()
    return row
