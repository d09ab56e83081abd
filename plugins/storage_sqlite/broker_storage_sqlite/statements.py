"""What one transaction says to SQLite, in as few statements as it takes.

While SQLite works at a statement the event loop's thread takes over, and to come back costs more
than the statement. So new messages of all operations wait for each other, to be stored by a few
statements; and a savepoint is set only when an operation does more than that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

NewRow = tuple[Any, ...]
"""The values of _COLUMNS for a message that is new, and pending."""

_COLUMNS = (
    "id, queue_id, shelf, rank, priority, created_at, updated_at, visible_at, expires_at, grp,"
    " dedup_key, content_type, headers, content"
)
_VALUES = "('pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERTS = [
    (size, f"INSERT INTO messages (status, {_COLUMNS}) VALUES " + ", ".join([_VALUES] * size))
    for size in (64, 16, 4, 1)
]


class Statements:
    """The one writing connection, as operations see it.

    Whatever they read or change, they find the messages that were inserted before.
    """

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql
        self._waiting: list[NewRow] = []
        self._mark: int | None = None
        """How many of those that wait were there before the operation that can be undone."""
        self._has_savepoint = False
        self.is_spoilt = False
        """Whether messages of earlier operations could not be stored: begin again without them."""

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Execute a statement."""
        self._catch_up()
        return self._sql.execute(statement, parameters)

    def executemany(self, statement: str, parameters: Iterable[Any]) -> None:
        """Execute a statement again and again."""
        self._catch_up()
        self._sql.executemany(statement, parameters)

    def insert(self, rows: Sequence[NewRow]) -> None:
        """Store new messages, at the latest by `flush`."""
        self._waiting += rows

    def flush(self) -> None:
        """Store the messages that wait."""
        self._store(len(self._waiting))

    def set_mark(self) -> None:
        """Begin an operation that can be undone."""
        self._mark = len(self._waiting)

    def go_back(self) -> None:
        """Undo everything since the mark."""
        if self._has_savepoint:
            self._waiting.clear()
            if self._sql.in_transaction:  # some errors make SQLite end it
                self._sql.execute("ROLLBACK TO operation")
                self._sql.execute("RELEASE operation")
        else:
            del self._waiting[self._mark :]
        self._mark, self._has_savepoint = None, False

    def remove_mark(self) -> None:
        """End an operation that succeeded."""
        if self._has_savepoint:
            self.flush()
            self._sql.execute("RELEASE operation")
        self._mark, self._has_savepoint = None, False

    def forget(self) -> None:
        """Forget what waits: the transaction is undone."""
        self._waiting.clear()
        self._mark, self._has_savepoint, self.is_spoilt = None, False, False

    def _catch_up(self) -> None:
        if self._mark is not None and not self._has_savepoint:
            try:
                self._store(self._mark)
            except sqlite3.Error:
                self.is_spoilt = True
                raise
            self._sql.execute("SAVEPOINT operation")
            self._has_savepoint = True
        if self._waiting:
            self.flush()

    def _store(self, count: int) -> None:
        """Store the first of the messages that wait."""
        done = 0
        for size, statement in _INSERTS:
            while count - done >= size:
                rows = self._waiting[done : done + size]
                self._sql.execute(statement, [value for row in rows for value in row])
                done += size
        del self._waiting[:count]
