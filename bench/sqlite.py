"""What SQLite can do by itself: the plugin's table, one connection, one transaction a batch."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from broker_storage_sqlite.schema import read_migrations

BATCH = 100

_INSERT = """
INSERT INTO messages (queue_id, status, shelf, rank, priority, created_at, updated_at, visible_at,
    content_type, headers, content)
VALUES (1, 'pending', 1, 4, 4, 1, 1, 1, 'text/plain; charset=utf-8', '{}', ?)
"""
_LEASE = """
UPDATE messages SET status = 'processing', shelf = 3, visible_at = 30000, leased_at = 1,
    delivery_count = delivery_count + 1, token = randomblob(16)
WHERE id IN (
    SELECT id FROM messages WHERE queue_id = 1 AND shelf = 1 ORDER BY rank DESC, id LIMIT ?
)
RETURNING id, content
"""
_ACK = "UPDATE messages SET status = 'processed', shelf = 0, finished_at = 2 WHERE id = ?"


class Bare:
    """A database with the plugin's schema and a queue, written without the plugin."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def publish(self, batches: int, body: bytes) -> float:
        """Insert batches; return messages a second."""
        rows = [(body,)] * BATCH
        start = time.perf_counter()
        for _ in range(batches):
            with self._sql:
                self._sql.execute("BEGIN IMMEDIATE")
                self._sql.executemany(_INSERT, rows)
        return batches * BATCH / (time.perf_counter() - start)

    def lease_and_ack(self, batches: int) -> float:
        """Lease batches, acking each; return messages a second."""
        start = time.perf_counter()
        for _ in range(batches):
            with self._sql:
                self._sql.execute("BEGIN IMMEDIATE")
                leased = self._sql.execute(_LEASE, (BATCH,)).fetchall()
            if len(leased) < BATCH:
                raise RuntimeError("there is nothing left to lease")
            with self._sql:
                self._sql.execute("BEGIN IMMEDIATE")
                self._sql.executemany(_ACK, [(row[0],) for row in leased])
        return batches * BATCH / (time.perf_counter() - start)


@contextmanager
def bare(path: Path) -> Iterator[Bare]:
    """Make the database; every commit is fsynced, as the plugin's are."""
    with closing(sqlite3.connect(path, isolation_level=None)) as sql:
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("PRAGMA synchronous = FULL")
        for migration in read_migrations():
            sql.executescript(migration.sql)
        sql.execute(
            "INSERT INTO queues (name, created_at, updated_at, version, policy)"
            " VALUES ('q', 1, 1, 1, '{}')"
        )
        yield Bare(sql)
