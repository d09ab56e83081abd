"""What SQLite's errors mean for those who use the broker."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from broker import BrokerError, StorageFull, Unavailable

_FATAL = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def translate(error: Exception, path: Path) -> Exception:
    """Return the broker's error for one that an operation on `path` raised.

    What does not come from the file's circumstances is a bug, and returned as it is.
    """
    code = _code(error)
    if code is None:
        return error
    translated: BrokerError = Unavailable(f"{path} cannot be used now ({error})")
    if code == sqlite3.SQLITE_FULL:
        translated = full(path)
    translated.__cause__ = error
    return translated


def full(path: Path) -> BrokerError:
    """Return the error for a publish that the disk has no room for."""
    return StorageFull(f"there is no room left for {path}; nothing was stored")


def is_fatal(error: Exception) -> bool:
    """Tell whether the file cannot be trusted before it was opened anew."""
    return _code(error) in _FATAL


def _code(error: Exception) -> int | None:
    """Return the primary result code; None for what is no failure of SQLite or the disk."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None or isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):
        return None
    return int(code) & 0xFF
