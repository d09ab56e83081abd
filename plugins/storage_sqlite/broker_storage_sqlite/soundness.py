"""Whether a file is a store of ours, and sound, told without changing it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from broker import StorageUnreadable

from broker_storage_sqlite.agreement import read_stamp
from broker_storage_sqlite.connections import connect_reader
from broker_storage_sqlite.partial import is_filled
from broker_storage_sqlite.schema import (
    APPLICATION_ID,
    expected_objects,
    missing_objects,
    read_migrations,
)


def demand_store(path: Path) -> None:
    """Raise StorageUnreadable if there is no store, before SQLite has a look.

    It would make one, or take an empty file for one and remove the log that lies beside it.
    """
    if not is_filled(path):
        what = "is empty" if path.exists() else "is not there"
        raise StorageUnreadable(
            f"{path} {what}; restore a backup, start the broker, or set"
            " plugins.storage_sqlite.path to another file"
        )


def demand_ours(sql: sqlite3.Connection, path: Path, *, remedy: str) -> int:
    """Return the version of a store's schema; raises StorageUnreadable if it is none of ours."""
    [application_id] = sql.execute("PRAGMA application_id").fetchone()
    [version] = sql.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID:
        raise StorageUnreadable(f"{path} is no store of this broker; {remedy}")
    newest = read_migrations()[-1].version
    if version > newest:
        raise StorageUnreadable(
            f"{path} has schema version {version}, and this broker knows versions up to {newest};"
            " use the newer broker that wrote it"
        )
    return int(version)


def find_missing(sql: sqlite3.Connection, version: int) -> list[str]:
    """Return what a store of this version should have and has not: tables, indexes, its id."""
    migrations = [m for m in read_migrations() if m.version <= version]
    missing = missing_objects(sql, migrations)
    has_stamp = "store" in expected_objects(migrations)
    if not missing and has_stamp and read_stamp(sql) is None:
        return ["the row of store"]
    return missing


def find_damage(sql: sqlite3.Connection, *, quick: bool = False) -> list[str]:
    """Return what SQLite finds wrong with the file, a line each; `quick` looks at no index."""
    pragma = "quick_check" if quick else "integrity_check"
    try:
        lines = [" ".join(str(row[0]).split()) for row in sql.execute(f"PRAGMA {pragma}")]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        return [str(error)]
    return [] if lines == ["ok"] else lines


def demand_sound(path: Path, name: Path, *, remedy: str, quick: bool = False) -> None:
    """Raise StorageUnreadable unless a file that nobody writes to is a sound store of ours.

    `name` is what the file is called in the message.
    """
    try:
        with closing(connect_reader(path, is_frozen=True)) as sql:
            version = demand_ours(sql, name, remedy=remedy)
            problems = find_damage(sql, quick=quick)
            missing = [] if problems else find_missing(sql, version)
    except sqlite3.Error as error:
        raise StorageUnreadable(f"{name} is damaged ({error}); {remedy}") from error
    if problems:
        raise StorageUnreadable(f"{name} is damaged ({problems[0]}); {remedy}")
    if missing:
        raise StorageUnreadable(f"{name} lacks {', '.join(missing)}; {remedy}")
