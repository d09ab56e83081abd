"""Putting another database in the place of a store, so that one of the two is always there."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from broker import StorageLocked, StorageUnreadable

from broker_storage_sqlite.agreement import check_log, read_stamp
from broker_storage_sqlite.connections import connect_reader, connect_writer
from broker_storage_sqlite.lock import FileLock
from broker_storage_sqlite.opening import startup_errors
from broker_storage_sqlite.partial import (
    SIDECARS,
    Partial,
    beside,
    is_filled,
    is_same,
    sync_directory,
)
from broker_storage_sqlite.soundness import demand_ours, demand_store, find_damage

_OF_THE_MOMENT = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
"""Errors that tell nothing about the file."""


@contextmanager
def owning(path: Path) -> Iterator[FileLock]:
    """Keep brokers from the store at `path` while the block runs; raises StorageLocked."""
    with startup_errors(path):
        lock = FileLock(path)
        lock.acquire()
        try:
            yield lock
        finally:
            lock.release()


def use_log(path: Path) -> None:
    """Put a new database into WAL mode, and leave nothing beside it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as sql:
        sql.execute("PRAGMA journal_mode = WAL").fetchone()


def fold_log(path: Path) -> None:
    """Write the log into the database, and remove it; raises sqlite3.Error, StorageLocked."""
    with closing(connect_writer(path, "full")) as sql:
        sql.execute("PRAGMA busy_timeout = 0")
        [is_busy, *_] = sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    # Whoever is the last to close removes the files beside; a reader elsewhere keeps them.
    if is_busy or any(beside(path, suffix).exists() for suffix in SIDECARS):
        raise StorageLocked(
            f"{path} is being read by another program, a backup perhaps; try again when it is done"
        )


def replace(path: Path, partial: Partial, lock: FileLock) -> Path | None:
    """Move a new database to `path`; return where the store that was there is now, if one was.

    The caller owns the store, by `lock`, which forgets it. Killed at any point, this leaves the
    old store or the new one; if the old one is damaged, or its log is that of another one, also
    one that is refused at the start until this is done again.
    """
    log = beside(path, "-wal")
    kept = _free_name(path, log) if path.exists() or is_filled(log) else None
    if kept is not None:
        if _is_sound(path):
            fold_log(path)
            _link(path, kept)
        elif not is_filled(log):
            _link(path, kept)
        else:
            _move_with_log(path, log, kept, empty=beside(partial.path, "-wal"))
    lock.forget()
    partial.place()
    return kept


def _is_sound(path: Path) -> bool:
    """Tell whether a database and its log belong together, so that the one may become the other."""
    try:
        demand_store(path)
        with closing(connect_reader(path)) as sql:
            demand_ours(sql, path, remedy="")
            check_log(path, read_stamp(sql))
            return not find_damage(sql, quick=True)
    except (sqlite3.DatabaseError, StorageUnreadable) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_MOMENT:
            raise
        return False


def _move_with_log(path: Path, log: Path, kept: Path, *, empty: Path) -> None:
    """Move a database away together with its log, which cannot be written into it.

    An empty log stays behind: as long as there is a log and no database, a broker refuses to
    start instead of making an empty store.
    """
    _link(log, beside(kept, "-wal"))
    if path.exists():
        path.rename(kept)
        sync_directory(path)
    empty.touch(0o600)
    empty.rename(log)
    # Nothing in a -shm outlives its readers, and the new database must not share one with them.
    beside(path, "-shm").unlink(missing_ok=True)
    sync_directory(path)


def _link(path: Path, kept: Path) -> None:
    """Give a file a second name, so that there is no moment at which it has none."""
    if not kept.exists():
        os.link(path, kept)
        sync_directory(path)


def _free_name(path: Path, log: Path) -> Path:
    """Return a name for the store that is replaced: a new one, or that of a try that was killed."""
    for number in count(1):
        kept = beside(path, f".before-restore-{number}")
        kept_log = beside(kept, "-wal")
        if is_same(kept, path) or is_same(kept_log, log):
            return kept
        if not kept.exists() and not kept_log.exists():
            return kept
    raise AssertionError("numbers do not end")
