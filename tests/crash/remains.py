"""What a broker left on the disk: read from a copy, so that its own recovery is still to come."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from broker_storage_sqlite.counters import HELD
from crash.checker import Stored

_MESSAGES = """
SELECT m.id, q.name, m.status, m.content FROM messages m JOIN queues q ON q.id = m.queue_id
"""
_RECOUNT = """
SELECT q.name, count(m.id) FILTER (WHERE status = 'pending'),
    count(m.id) FILTER (WHERE shelf = 2),
    count(m.id) FILTER (WHERE status = 'processing'),
    count(m.id) FILTER (WHERE status = 'processed'),
    count(m.id) FILTER (WHERE status = 'failed'),
    coalesce(sum(length(content)), 0),
    coalesce(sum(length(content)) FILTER (WHERE status = 'pending'), 0)
FROM queues q LEFT JOIN messages m ON m.queue_id = q.id GROUP BY q.id ORDER BY q.name
"""
_COUNTERS = f"SELECT name, {', '.join(HELD)} FROM queues ORDER BY name"


def copy_store(path: Path, directory: Path) -> Path:
    """Copy what a crash left of a store, but for the index of the log, which is made anew."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in (path.name, f"{path.name}-wal", f"{path.name}.lock"):
        (directory / name).unlink(missing_ok=True)
        if path.with_name(name).exists():
            shutil.copyfile(path.with_name(name), directory / name)
    return directory / path.name


def read_remains(path: Path) -> list[Stored]:
    """Return the messages of a sound database; an AssertionError tells what is not sound.

    It is sound if `integrity_check` says so and the counters of its queues are those of its rows.
    """
    with closing(sqlite3.connect(path)) as sql:
        problems = sql.execute("PRAGMA integrity_check").fetchall()
        assert problems == [("ok",)], problems
        orphans = sql.execute("PRAGMA foreign_key_check").fetchall()
        assert orphans == [], orphans
        counters = sql.execute(_COUNTERS).fetchall()
        recount = sql.execute(_RECOUNT).fetchall()
        assert counters == recount, f"the counters say {counters}, the rows say {recount}"
        return [Stored(*row) for row in sql.execute(_MESSAGES)]
