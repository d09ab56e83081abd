"""Users in an SQLite file, which the broker and its command line write at the same time."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from broker import Closed, ConfigError, StorageUnreadable, Unavailable

from broker_auth_jwt.engine import PATIENCE_SECONDS, Engine
from broker_auth_jwt.files import leave_to_owner, sync_directory

if TYPE_CHECKING:
    from databases import Database as Driver

APPLICATION_ID = 0x52424131
"""Stands in the header of every file of ours."""

logger = logging.getLogger("broker.plugins.auth_jwt")

_CHANGES_PER_CHECKPOINT = 256
_RESTORE = "restore a backup, or move it away to begin without users"
_ELSEWHERE = "set plugins.auth_jwt.database to another file"


class SQLiteFile(Engine):
    """A file in WAL mode, for its owner alone; every commit is fsynced."""

    failures = (sqlite3.Error, OSError)
    settings: ClassVar[Sequence[str]] = (
        "PRAGMA synchronous = FULL",
        # On macOS an fsync ends in the disk's cache, which a power cut empties; elsewhere nothing.
        "PRAGMA fullfsync = ON",
        "PRAGMA checkpoint_fullfsync = ON",
        "PRAGMA temp_store = MEMORY",
        "PRAGMA trusted_schema = OFF",
        # Before 3.51.3 a checkpoint during which another process writes can corrupt the log; those
        # that SQLite makes by itself are of this kind, those of `begin` keep writers out.
        "PRAGMA wal_autocheckpoint = 0",
    )
    integer = "INTEGER"
    table_options = " STRICT"
    find_table = "SELECT 1 AS found FROM sqlite_master WHERE name = 'broker_accounts'"

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._begun = 0

    async def prepare(self) -> None:
        """Leave a sound file at the path; raises StorageUnreadable, ConfigError."""
        await asyncio.to_thread(prepare_file, self._path)

    def driver(self) -> Driver:
        """Return a handle on the existing file."""
        from databases import Database as Driver  # imports SQLAlchemy

        # Quoted twice: once for the URL that `databases` reads, once for the one that SQLite reads.
        url = f"sqlite:///{quote(f'file:{quote(self.name)}', safe='')}?mode=rw"
        return Driver(url, uri=True, timeout=PATIENCE_SECONDS)

    def begin(self) -> Sequence[str]:
        """Return what begins a change as a writer, which waits for its turn."""
        self._begun += 1
        if self._begun % _CHANGES_PER_CHECKPOINT:
            return ("BEGIN IMMEDIATE",)
        return ("PRAGMA wal_checkpoint(TRUNCATE)", "BEGIN IMMEDIATE")

    def counter(self) -> FileCounter:
        """Return a reader of the file."""
        return FileCounter(self._path)


class FileCounter:
    """Reads the number of changes on the event loop.

    That takes 3 µs, because the page is in memory; through `databases` and its thread it is 118,
    or 7 for each of 32 who share a question.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sql: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    async def open(self) -> None:
        """Connect, read-only."""
        self._file = _identity(self._path)
        # Nobody makes readers wait in WAL mode but a process that follows one that was killed.
        self._sql = _connect(self._path, "ro", timeout=0.1)

    async def close(self) -> None:
        """Disconnect."""
        if self._sql is not None:
            self._sql.close()
            self._sql = None

    async def read(self) -> int:
        """Return the number of changes now."""
        if self._sql is None:
            raise Closed("the database of users is not open")
        self._refuse_another_file()
        try:
            # All of them: a statement that could go on would keep on reading what is old then.
            [[changes]] = self._sql.execute("SELECT changes FROM broker_accounts").fetchall()
        except sqlite3.Error as error:
            logger.warning("%s cannot be read: %s", self._path, error)
            raise Unavailable("tokens cannot be checked now; try again later") from error
        return int(changes)

    def _refuse_another_file(self) -> None:
        # Whoever revokes something now does so in the file that has the name.
        if _identity(self._path) != self._file:
            logger.error("%s was replaced; start the broker again", self._path)
            raise Unavailable("tokens cannot be checked now; try again later")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def prepare_file(path: Path) -> None:
    """Check the database at `path`, or make one; what is damaged is refused, never replaced."""
    try:
        if not _is_there(path):
            _create(path)
        with closing(_connect(path, "ro")) as sql:
            _check(sql, path)
    except OSError as error:
        raise StorageUnreadable(
            f"{error.filename or path} cannot be used ({error.strerror}); give the broker's user"
            f" access to {path.parent}, or {_ELSEWHERE}"
        ) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:
        # sqlite3 stumbles over its own message when that quotes what is damaged.
        raise StorageUnreadable(f"{path} cannot be read ({error}); {_RESTORE}") from error


def _is_there(path: Path) -> bool:
    log = path.with_name(path.name + "-wal")
    if not path.exists():
        if log.exists():
            raise StorageUnreadable(
                f"{path} is missing, but {log} is there: bring the file back that belongs to it,"
                " or move it away to begin without users"
            )
        return False
    # SQLite is content with a file that it can only read, and takes an empty one for a new one.
    with path.open("r+b") as file:
        if not file.read(1):
            raise StorageUnreadable(f"{path} is empty, which no database is; {_RESTORE}")
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise ConfigError(
                f"{path} holds password hashes, and others than its owner may use it; run:"
                f" chmod 600 {shlex.quote(str(path))}"
            )
    return True


def _create(path: Path) -> None:
    """Make a file under a name of its own first, so that nobody ever finds half of one.

    If another process is faster, its file is taken.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{token_hex(8)}.new")
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        leave_to_owner(descriptor, path.parent)
    finally:
        os.close(descriptor)
    try:
        with closing(_connect(new, "rw")) as sql:
            sql.execute("PRAGMA synchronous = FULL")
            sql.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            sql.execute("PRAGMA journal_mode = WAL").fetchall()
        try:
            path.hardlink_to(new)
        except FileExistsError:
            return
    finally:
        new.unlink()
    sync_directory(path.parent)


def _check(sql: sqlite3.Connection, path: Path) -> None:
    if sql.execute("PRAGMA application_id").fetchall() != [(APPLICATION_ID,)]:
        raise StorageUnreadable(f"{path} is a database of another program; {_ELSEWHERE}")
    [[problem]] = sql.execute("PRAGMA integrity_check(1)").fetchall()
    if problem != "ok":
        raise StorageUnreadable(f"{path} is damaged ({' '.join(problem.split())}); {_RESTORE}")


def _connect(path: Path, mode: str, *, timeout: float = PATIENCE_SECONDS) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)
