"""Whether a database file, its log and the note in its lock file belong together.

Each commit raises `store.commits`, so a page with that row is in every transaction of the log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from broker import StorageUnreadable

from broker_storage_sqlite.connections import connect_reader
from broker_storage_sqlite.lock import lock_path
from broker_storage_sqlite.partial import beside
from broker_storage_sqlite.wal import read_pages
from broker_storage_sqlite.witness import READ_STAMP, Stamp, Witness, stamp_of

# Of the record format, https://sqlite.org/fileformat2.html#record_format
_LEAF_WITH_ONE_CELL = (0x0D, b"\x00\x01")
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def check_agreement(path: Path, found: Stamp | None, witness: Witness | None) -> None:
    """Raise StorageUnreadable if what belongs to a database was deleted, cut or exchanged.

    `found` is what the database says when it is read together with its log.
    """
    check_log(path, found)
    if witness is None:
        return
    lock = lock_path(path)
    if found is None or found.store != witness.stamp.store:
        raise StorageUnreadable(
            f"{path} is not the store that was here before: it was exchanged; bring that one back,"
            f" or, if it was meant, remove {lock}"
        )
    if witness.proves(found.commits):
        raise StorageUnreadable(
            f"{path} lacks what was answered last: it has seen {found.commits} commits, and {lock}"
            f" remembers {witness.stamp.commits}; its log was deleted, cut or exchanged, or an"
            f" older copy put in its place: bring back what belongs to it, or remove {lock} to go"
            " on with what is there"
        )


def check_log(path: Path, found: Stamp | None) -> None:
    """Raise StorageUnreadable if what `found` says was read with a log of another database."""
    alone = _stamp_without_log(path)
    log = beside(path, "-wal")
    if alone is not None and not _continues(log, alone, found):
        raise StorageUnreadable(
            f"{log} does not belong to {path}: one of them was exchanged; bring back those that"
            f" belong together, or move {log} away to see what is in {path} alone"
        )


def read_stamp(sql: sqlite3.Connection) -> Stamp | None:
    """Return what a database says; None if it says nothing, as that of an old broker."""
    if not sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'store'").fetchone():
        return None
    return stamp_of(sql.execute(READ_STAMP).fetchone())


def check_absence(path: Path, witness: Witness | None) -> None:
    """Raise StorageUnreadable if there was a store that is not there now."""
    if witness is not None and witness.stamp.commits > 0:
        lock = lock_path(path)
        raise StorageUnreadable(
            f"{path} is missing, but {lock} remembers a store with {witness.stamp.commits} commits:"
            f" bring it back, or remove {lock} to begin with an empty store"
        )


def _continues(log: Path, alone: Stamp, found: Stamp | None) -> bool:
    """Tell whether a log goes on where the file ends, so that together they are the newest."""
    if found is None or found.store != alone.store or found.commits < alone.commits:
        return False
    first = next(_stamps_in_log(log, alone.store), alone.commits)
    return first <= alone.commits + 1


def _stamp_without_log(path: Path) -> Stamp | None:
    """Return what the file says by itself; None if that cannot be read without the log."""
    # What a checkpoint left half done is no error: the log has the pages that are torn.
    with suppress(sqlite3.Error), closing(connect_reader(path, is_frozen=True)) as sql:
        return read_stamp(sql)
    return None


def _stamps_in_log(log: Path, store: bytes) -> Iterator[int]:
    """Yield the commits that the transactions of a log count, in order."""
    for page in read_pages(log):
        commits = _commits_on(page, store)
        if commits is not None:
            yield commits


def _commits_on(page: bytes, store: bytes) -> int | None:
    """Return the count on a page if it is that of the table `store`."""
    if (page[0], page[3:5]) != _LEAF_WITH_ONE_CELL:
        return None
    cell = page[int.from_bytes(page[8:10], "big") :]
    # One byte each: the sizes of cell and row id, of the record's header, the types of its values.
    kind, rest = cell[4:5], cell[5:]
    if not rest.startswith(store) or not kind:
        return None
    size = _INTEGER_BYTES.get(kind[0], 0)
    return int.from_bytes(rest[len(store) :][:size], "big", signed=True) if size else kind[0] - 8
