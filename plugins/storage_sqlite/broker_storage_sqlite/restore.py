"""Restoring: a copy of a backup takes the place of the store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
from broker import BrokerError, StorageUnreadable

from broker_storage_sqlite.agreement import check_log, read_stamp
from broker_storage_sqlite.backup import copy, count
from broker_storage_sqlite.connections import connect_reader
from broker_storage_sqlite.opening import prepare_directory
from broker_storage_sqlite.partial import Partial, belongs_to, beside, is_filled
from broker_storage_sqlite.replacing import owning, replace, use_log
from broker_storage_sqlite.soundness import demand_ours, demand_sound

_ANOTHER = "choose another backup"


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A store that was restored; `kept` is where the one before it is now."""

    path: str
    messages: int
    queues: int
    kept: str | None


def restore(path: Path, backup: Path, *, force: bool = False) -> Restored:
    """Put a copy of a backup, of this schema or an older one, in the place of the store at `path`.

    The store must not be in use. Raises StorageLocked if it is, StorageUnreadable if the backup is
    no sound store, and BrokerError, without `force`, if it would replace a store with queues. All
    is checked before anything is changed.
    """
    if not backup.is_file() or not is_filled(backup):
        raise StorageUnreadable(f"{backup} is no file, or empty; {_ANOTHER}")
    if belongs_to(backup, path):
        raise BrokerError(f"{backup} is a file of the store itself; name a backup")
    prepare_directory(path)
    with owning(path) as lock, Partial(path) as partial:
        if not force and not _is_empty(path):
            raise BrokerError(
                f"{path} is a store with queues; --force replaces it, and keeps it beside"
            )
        _copy(backup, partial)
        demand_sound(partial.path, backup, remedy=_ANOTHER)
        use_log(partial.path)
        messages, queues = count(partial.path)
        kept = replace(path, partial, lock)
    return Restored(
        path=str(path), messages=messages, queues=queues, kept=None if kept is None else str(kept)
    )


def _is_empty(path: Path) -> bool:
    """Tell whether there is no store, or one that nobody has used; in doubt it is not empty."""
    if not is_filled(path):
        return not path.exists() and not is_filled(beside(path, "-wal"))
    try:
        with closing(connect_reader(path)) as sql:
            demand_ours(sql, path, remedy="")
            [queues] = sql.execute("SELECT count(*) FROM queues").fetchone()
    except (sqlite3.Error, StorageUnreadable):
        return False
    return not queues


def _copy(backup: Path, partial: Partial) -> None:
    # A store that was copied together with its log is a backup as well.
    is_alone = not beside(backup, "-wal").exists()
    try:
        with closing(connect_reader(backup, is_frozen=is_alone)) as source:
            source.execute("BEGIN")
            demand_ours(source, backup, remedy=_ANOTHER)
            found = read_stamp(source)
            check_log(backup, found)
            copy(source, backup, partial)
            if found is not None:
                _rename_store(partial.path)
    except sqlite3.Error as error:
        raise StorageUnreadable(f"{backup} cannot be read ({error}); {_ANOTHER}") from error


def _rename_store(path: Path) -> None:
    """Give a store an id of its own: what was published since the backup is no past of it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as sql:
        sql.execute("UPDATE store SET id = randomblob(16)")
