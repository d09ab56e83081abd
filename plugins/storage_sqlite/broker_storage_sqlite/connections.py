"""How connections to the file are made: one that writes, and some that do not."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from broker_storage_sqlite.config import Durability

if TYPE_CHECKING:
    from databases import Database

_SYNCHRONOUS: dict[Durability, str] = {"full": "FULL", "os": "NORMAL"}
_BUSY_TIMEOUT_S = 5.0
_STATEMENTS = 256
"""Prepared statements that the writer keeps: more than there are."""


def connect_writer(path: Path, durability: Durability) -> sqlite3.Connection:
    """Return the connection that makes every change; use it in the thread that called this."""
    sql = sqlite3.connect(
        _uri(path) + "?mode=rw",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        cached_statements=_STATEMENTS,
    )
    for setting in (
        f"synchronous = {_SYNCHRONOUS[durability]}",
        # On macOS an fsync ends in the disk's cache, which a power cut empties; elsewhere nothing.
        "fullfsync = ON",
        "checkpoint_fullfsync = ON",
        "journal_size_limit = 67108864",
        "cache_size = -16384",
        "temp_store = MEMORY",
        "trusted_schema = OFF",
        "foreign_keys = ON",
    ):
        sql.execute(f"PRAGMA {setting}")
    return sql


def connect_reader(path: Path, *, is_frozen: bool = False) -> sqlite3.Connection:
    """Return a connection that changes nothing, whoever else writes.

    Nobody must write to a frozen file, and no file may lie beside it; none is made there.
    """
    mode = "immutable=1" if is_frozen else "mode=ro"
    sql = sqlite3.connect(
        f"{_uri(path)}?{mode}", uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None
    )
    sql.execute("PRAGMA trusted_schema = OFF")
    return sql


def connect_plain(path: Path) -> sqlite3.Connection:
    """Return a connection with SQLite's own settings; the schema is made and changed on it."""
    return sqlite3.connect(
        _uri(path) + "?mode=rw", uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None
    )


def database(path: Path) -> Database:
    """Return a `databases` handle on an existing file, which changes nothing."""
    from databases import Database  # imports SQLAlchemy

    # Quoted twice: once for the URL that `databases` reads, once for the one that SQLite reads.
    url = f"sqlite:///{quote(_uri(path), safe='')}?mode=ro"
    return Database(url, uri=True, timeout=_BUSY_TIMEOUT_S)


def _uri(path: Path) -> str:
    return f"file:{quote(str(path))}"
