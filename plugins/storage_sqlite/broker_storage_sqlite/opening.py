"""Opening the database file: refuse what cannot be trusted, make what is not there, migrate."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from broker import StartupError, StorageLocked, StorageUnreadable

from broker_storage_sqlite.agreement import check_absence, check_agreement
from broker_storage_sqlite.connections import connect_plain, connect_reader
from broker_storage_sqlite.interruptible import work_on
from broker_storage_sqlite.partial import beside, sync, sync_directory
from broker_storage_sqlite.schema import (
    APPLICATION_ID,
    Migration,
    migrate,
    missing_objects,
    read_pragma,
)
from broker_storage_sqlite.witness import READ_STAMP, Stamp, Witness, stamp_of

_OLDEST_SQLITE = (3, 38)
_RESTORE = "restore a backup, or move it and its .lock file away to begin with an empty store"
_ELSEWHERE = "set plugins.storage_sqlite.path to another file"


@contextmanager
def startup_errors(path: Path) -> Iterator[None]:
    """Turn what the system and SQLite refuse into one line that names the file and the remedy."""
    try:
        yield
    except OSError as error:
        raise StorageUnreadable(
            f"{error.filename or path} cannot be used ({error.strerror}); give the broker's user"
            f" access to {path.parent}, or {_ELSEWHERE}"
        ) from error
    except sqlite3.Error as error:
        raise _refusal(path, error) from error
    except UnicodeDecodeError as error:
        # sqlite3 stumbles over its own message when that quotes what is damaged.
        raise StorageUnreadable(f"{path} is damaged ({error.reason}); {_RESTORE}") from error


def prepare_directory(path: Path) -> None:
    """Make the directories of a database, for its owner alone, if they are not there."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StorageUnreadable(
            f"SQLite {sqlite3.sqlite_version} is too old for {path}; use a Python that brings"
            " SQLite 3.38 or newer"
        )
    for directory in reversed(path.parents):
        if not directory.is_dir():
            directory.mkdir(mode=0o700, exist_ok=True)
            sync_directory(directory)


async def prepare_file(
    path: Path, migrations: Sequence[Migration], witness: Witness | None = None
) -> None:
    """Leave a sound database of the newest schema at `path`.

    The caller holds the lock; `witness` is what its file remembers.
    """
    if _is_there(path):
        check = partial(_check, path=path, migrations=migrations, witness=witness)
        # Read-only, because closing would copy a log that may be refused into the file.
        await work_on(partial(connect_reader, path), check)
        renew = partial(_renew, path=path, migrations=migrations)
        await work_on(partial(connect_plain, path), renew)
    else:
        check_absence(path, witness)
        await _create(path, migrations)


def _is_there(path: Path) -> bool:
    """Return whether there is a database; refuse what SQLite would take for an empty one."""
    log = path.with_name(path.name + "-wal")
    if not path.exists():
        if log.exists():
            raise StorageUnreadable(
                f"{path} is missing, but {log} is there: bring the file back that belongs to it,"
                " or move it away to begin with an empty store"
            )
        return False
    # SQLite is content with a file that it can only read; this storage is not.
    with path.open("r+b") as file:
        if not file.read(1):
            raise StorageUnreadable(f"{path} is empty, which no database is; {_RESTORE}")
    return True


async def _create(path: Path, migrations: Sequence[Migration]) -> None:
    """Make a new database under another name first, so that `path` is never a half-made one."""
    new = path.with_name(path.name + ".new")
    for suffix in ("", "-wal", "-shm"):
        new.with_name(new.name + suffix).unlink(missing_ok=True)
    # SQLite gives the files beside it the same mode.
    os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    await work_on(partial(connect_plain, new), partial(_fill, migrations=migrations))
    new.rename(path)
    sync_directory(path)


def _fill(sql: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    # In this order: vacuuming cannot become incremental once the file has a page.
    sql.execute("PRAGMA auto_vacuum = INCREMENTAL")
    sql.execute("PRAGMA journal_mode = WAL").fetchone()
    migrate(sql, migrations)


def _check(
    sql: sqlite3.Connection, path: Path, migrations: Sequence[Migration], witness: Witness | None
) -> None:
    if read_pragma(sql, "application_id") != APPLICATION_ID:
        raise StorageUnreadable(f"{path} is a database of another program; {_ELSEWHERE}")
    version = read_pragma(sql, "user_version")
    newest = migrations[-1].version
    if version > newest:
        raise StorageUnreadable(
            f"{path} has schema version {version}, and this broker knows versions up to {newest};"
            " use the newer broker that wrote it, or restore a backup from before its upgrade"
        )
    check_agreement(path, _read_stamp(sql, path), witness)
    # Not quick_check, which is content with an index that hides messages.
    [problem] = sql.execute("PRAGMA integrity_check(1)").fetchone()
    if problem != "ok":
        raise StorageUnreadable(f"{path} is damaged ({' '.join(problem.split())}); {_RESTORE}")


def _read_stamp(sql: sqlite3.Connection, path: Path) -> Stamp | None:
    """Return what the file says together with its log; None from a broker that knew no stamps."""
    if not sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'store'").fetchone():
        return None
    stamp = stamp_of(sql.execute(READ_STAMP).fetchone())
    if stamp is None:
        raise StorageUnreadable(f"{path} is damaged (its table store lacks its row); {_RESTORE}")
    return stamp


def _renew(sql: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Bring a database that was checked to the newest schema."""
    # Whoever else writes to it now would make every publish fail later.
    sql.execute("BEGIN IMMEDIATE")
    sql.execute("ROLLBACK")
    # Some ways to copy a database leave this out.
    sql.execute("PRAGMA journal_mode = WAL").fetchone()
    migrate(sql, migrations)
    if missing := missing_objects(sql, migrations):
        raise StorageUnreadable(f"{path} lacks {', '.join(missing)}; {_RESTORE}")
    # From now on the witness may swear to it, and a broker that was killed did not sync it all.
    sync(beside(path, "-wal"))


def _refusal(path: Path, error: sqlite3.Error) -> StartupError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageLocked(f"{path} is locked by another program; close it, or {_ELSEWHERE}")
    if code == sqlite3.SQLITE_FULL:
        return StorageUnreadable(f"there is no room left for {path}; free some of its disk")
    if code == sqlite3.SQLITE_NOTADB:
        return StorageUnreadable(f"{path} is not a database; {_RESTORE}, or {_ELSEWHERE}")
    if code == sqlite3.SQLITE_IOERR:
        return StorageUnreadable(
            f"{path} cannot be opened ({error}); see that its disk works and has room"
        )
    return StorageUnreadable(f"{path} cannot be opened ({error}); {_RESTORE}")
