"""The one transaction on the one writing connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

import msgspec
from broker import Queue, QueueNotFound

from broker_storage_sqlite.counters import Counters
from broker_storage_sqlite.groups import regroup
from broker_storage_sqlite.rows import QUEUE_COLUMNS, ROW_COLUMNS, Row, queue_of
from broker_storage_sqlite.statements import Statements
from broker_storage_sqlite.witness import READ_STAMP, Stamp

T = TypeVar("T")

_SAVE = (
    "UPDATE messages SET queue_id = :queue_id, status = :status, shelf = :shelf, rank = :rank,"
    " visible_at = :visible_at, expires_at = :expires_at, delivery_count = :delivery_count,"
    " first_delivered_at = :first_delivered_at, finished_at = :finished_at,"
    " leased_at = :leased_at, leased_by = :leased_by, token = :token, reason = :reason,"
    " origin_queue = :origin_queue, updated_at = :now WHERE id = :id"
)


class Undone(Exception):
    """Raised by an operation that answers, but shall leave no trace of what it tried."""

    def __init__(self, answer: object) -> None:
        super().__init__("undone on purpose")
        self.answer = answer


class Transaction:
    """What an operation works with: SQL, the queues, and the books on what is changed.

    It lives as long as its connection, of which it is the only user, so it may remember the
    queues and the next message id from one transaction to the next. `stamp` is what the last
    commit left in the table `store`, `commit_seconds` how long the disk took for it. `sql` is the
    connection itself: what is done there is not undone when an operation fails, and does not see
    what other operations have just inserted.
    """

    def __init__(self, sql: sqlite3.Connection) -> None:
        self.sql = sql
        self.statements = Statements(sql)
        self.execute = self.statements.execute
        self.executemany = self.statements.executemany
        self.insert = self.statements.insert
        self.counters = Counters()
        self._groups: set[tuple[int, str]] = set()
        self._queues: dict[str, Queue] = {}
        self._queues_by_id: dict[int, Queue] = {}
        self.stamp = Stamp(*sql.execute(READ_STAMP).fetchone())
        self.commit_seconds = 0.0
        self._changes = 0
        row = sql.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchone()
        self._next_message_id: int = 1 if row is None else row[0] + 1

    @property
    def is_open(self) -> bool:
        """Whether it was begun and not ended; some errors make SQLite end it."""
        return self.sql.in_transaction

    @property
    def is_spoilt(self) -> bool:
        """Whether it cannot go on, because of operations that seemed to have succeeded."""
        return self.statements.is_spoilt

    def begin(self) -> None:
        """Begin, as the only one who writes."""
        self.execute("BEGIN IMMEDIATE")
        self._changes = self.sql.total_changes

    def commit(self) -> None:
        """Make everything durable. If this raises, roll back."""
        self.statements.flush()
        self.counters.write(self.sql)
        stamp = self.stamp
        if self.sql.total_changes != self._changes:
            stamp = Stamp(stamp.store, stamp.commits + 1)
            self.execute("UPDATE store SET commits = ?", (stamp.commits,))
        begun = perf_counter()
        self.execute("COMMIT")
        self.commit_seconds = perf_counter() - begun
        self.stamp = stamp
        self.counters.clear()

    def roll_back(self) -> None:
        """Undo everything, also if there is nothing."""
        self._forget()
        self.counters.clear()
        self.statements.forget()
        if self.is_open:
            self.execute("ROLLBACK")

    def attempt(self, operation: Callable[[Transaction], T]) -> T:
        """Carry out one of several operations; if it raises, undo it alone."""
        self.statements.set_mark()
        try:
            result = self.carry_out(operation)
            self.statements.remove_mark()
        except BaseException:
            self._forget()
            self.statements.go_back()
            raise
        return result

    def carry_out(self, operation: Callable[[Transaction], T]) -> T:
        """Carry out the only operation; if it raises, the caller rolls back."""
        result = operation(self)
        self.regroup()
        self.counters.keep()
        return result

    def queue(self, name: str) -> Queue:
        """Return a queue; raises QueueNotFound."""
        queue = self.find_queue(name)
        if queue is None:
            raise QueueNotFound(name)
        return queue

    def find_queue(self, name: str) -> Queue | None:
        """Return a queue, None if there is none of that name."""
        return self._queues.get(name) or self._load("name", name)

    def queue_by_id(self, queue_id: int) -> Queue:
        """Return the queue that a message is in."""
        queue = self._queues_by_id.get(queue_id) or self._load("id", queue_id)
        assert queue is not None, "the foreign key of a message names a queue"
        return queue

    def forget_queue(self, queue: Queue) -> None:
        """Forget a queue that was changed or dropped."""
        self._queues.pop(queue.name, None)
        self._queues_by_id.pop(queue.id, None)

    def counter(self, queue_id: int, column: str) -> int:
        """Return a queue's counter with what this transaction added to it."""
        row = self.execute(f"SELECT {column} FROM queues WHERE id = ?", (queue_id,)).fetchone()
        stored: int = row[0]
        return stored + self.counters.added(queue_id, column)

    def new_id(self) -> int:
        """Return a message id greater than all that were ever given."""
        message_id = self._next_message_id
        self._next_message_id += 1
        return message_id

    def row(self, message_id: int) -> Row | None:
        """Return a message's row, None if there is none."""
        found = self.execute(
            f"SELECT {ROW_COLUMNS} FROM messages WHERE id = ?",
            (message_id,),
        ).fetchone()
        return None if found is None else Row(*found)

    def save(self, before: Row, after: Row, now: int) -> None:
        """Write a row that was changed."""
        self.execute(_SAVE, {**msgspec.structs.asdict(after), "now": now})
        self.uncount(before)
        self.counters.add(after.queue_id, **after.held())
        self.touch(after.queue_id, after.grp)

    def remove(self, row: Row) -> None:
        """Delete a row."""
        self.execute("DELETE FROM messages WHERE id = ?", (row.id,))
        self.uncount(row)

    def uncount(self, row: Row) -> None:
        """Take a row that is gone, or about to change, out of the books."""
        held = row.held()
        self.counters.add(row.queue_id, **{column: -amount for column, amount in held.items()})
        self.touch(row.queue_id, row.grp)

    def touch(self, queue_id: int, grp: str | None) -> None:
        """Note that something left or joined a group."""
        if grp is not None:
            self._groups.add((queue_id, grp))

    def regroup(self) -> None:
        """Make ready what can be leased now in the groups that were touched."""
        if self._groups:
            regroup(self.statements, self._groups)
            self._groups.clear()

    def _load(self, column: str, value: str | int) -> Queue | None:
        row = self.execute(
            f"SELECT {QUEUE_COLUMNS} FROM queues WHERE {column} = ?",
            (value,),
        ).fetchone()
        if row is None:
            return None
        queue = queue_of(row)
        self._queues[queue.name] = self._queues_by_id[queue.id] = queue
        return queue

    def _forget(self) -> None:
        """Forget what the operation that failed added, and what it may have done to queues."""
        self.counters.discard()
        self._groups.clear()
        self._queues.clear()
        self._queues_by_id.clear()
