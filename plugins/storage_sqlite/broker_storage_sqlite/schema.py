"""The schema and how it grows: numbered migrations, forward only, each in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from importlib.resources import files

import msgspec
from broker import StorageUnreadable
from databases.core import Connection

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


async def read_pragma(connection: Connection, pragma: str) -> int:
    """Return a setting of the file that is a number."""
    return int(await connection.fetch_val(f"PRAGMA {pragma}"))


async def migrate(connection: Connection, migrations: Sequence[Migration]) -> None:
    """Apply the migrations that the file has not seen, each wholly or not at all.

    Raises StorageUnreadable.
    """
    version = await read_pragma(connection, "user_version")
    for migration in migrations:
        if migration.version > version:
            await _apply(connection, migration)


async def find_missing(connection: Connection, migrations: Sequence[Migration]) -> list[str]:
    """Return the tables and indexes that a file of the newest schema should have and has not."""
    found = {row[0] for row in await connection.fetch_all(OBJECTS)}
    return sorted(expected_objects(migrations) - found)


def expected_objects(migrations: Sequence[Migration]) -> set[str]:
    """Return the names of the tables and indexes that migrations make."""
    with closing(sqlite3.connect(":memory:")) as model:
        for migration in migrations:
            model.executescript(migration.sql)
        return {row[0] for row in model.execute(OBJECTS)}


async def _apply(connection: Connection, migration: Migration) -> None:
    # Past `databases`: its transactions begin deferred, and it reads a colon in SQL as a parameter.
    raw = connection.raw_connection
    try:
        await raw.executescript(
            "BEGIN IMMEDIATE;\n"
            f"{migration.sql}\n"
            f"PRAGMA application_id = {APPLICATION_ID};\n"
            f"PRAGMA user_version = {migration.version};\n"
            "COMMIT;"
        )
    except sqlite3.Error as error:
        if raw.in_transaction:
            await raw.rollback()
        if error.sqlite_errorcode in _NOT_OF_THE_MIGRATION:
            raise
        raise StorageUnreadable(
            f"migration {migration.name} failed and was undone ({error}); nothing is lost: go back"
            " to the broker that wrote the store, and report this"
        ) from error
