"""The schema and how it grows: numbered migrations, forward only, each in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from importlib.resources import files

import msgspec
from broker import StorageUnreadable

APPLICATION_ID = 0x52424B31
"""Stands in the header of every file of ours."""


OBJECTS = "SELECT name FROM sqlite_master WHERE type IN ('table', 'index')"


_NOT_OF_THE_MIGRATION = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY)


class Migration(msgspec.Struct, frozen=True):
    """One step; `version` is the file's user_version after it."""

    version: int
    name: str
    sql: str


def read_migrations() -> list[Migration]:
    """Return the migrations that this program knows, in order."""
    found = [
        Migration(int(file.name[:4]), file.name, file.read_text("utf-8"))
        for file in files(__package__).joinpath("migrations").iterdir()
        if file.name.endswith(".sql")
    ]
    return sorted(found, key=lambda migration: migration.version)


def read_pragma(sql: sqlite3.Connection, pragma: str) -> int:
    """Return a setting of the file that is a number."""
    return int(sql.execute(f"PRAGMA {pragma}").fetchone()[0])


def migrate(sql: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Apply the migrations that the file has not seen, each wholly or not at all.

    Raises StorageUnreadable.
    """
    version = read_pragma(sql, "user_version")
    for migration in migrations:
        if migration.version > version:
            _apply(sql, migration)


def missing_objects(sql: sqlite3.Connection, migrations: Sequence[Migration]) -> list[str]:
    """Return the tables and indexes that a file of the newest schema should have and has not."""
    return sorted(expected_objects(migrations) - {row[0] for row in sql.execute(OBJECTS)})


def expected_objects(migrations: Sequence[Migration]) -> set[str]:
    """Return the names of the tables and indexes that migrations make."""
    with closing(sqlite3.connect(":memory:")) as model:
        for migration in migrations:
            model.executescript(migration.sql)
        return {row[0] for row in model.execute(OBJECTS)}


def _apply(sql: sqlite3.Connection, migration: Migration) -> None:
    try:
        sql.executescript(
            "BEGIN IMMEDIATE;\n"
            f"{migration.sql}\n"
            f"PRAGMA application_id = {APPLICATION_ID};\n"
            f"PRAGMA user_version = {migration.version};\n"
            "COMMIT;"
        )
    except sqlite3.Error as error:
        if sql.in_transaction:
            sql.execute("ROLLBACK")
        if error.sqlite_errorcode in _NOT_OF_THE_MIGRATION:
            raise
        raise StorageUnreadable(
            f"migration {migration.name} failed and was undone ({error}); nothing is lost: go back"
            " to the broker that wrote the store, and report this"
        ) from error
