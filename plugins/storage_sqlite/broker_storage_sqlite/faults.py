"""What SQLite's errors mean for those who use the broker."""

from __future__ import annotations

import errno
import logging
import sqlite3
from pathlib import Path

import msgspec
from broker import BrokerError, StorageFailed, StorageFull, Unavailable

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FATAL = {sqlite3.SQLITE_IOERR} | _DAMAGE


def translate(error: Exception, path: Path, logger: logging.Logger) -> Exception:
    """Return the broker's error for one that an operation on `path` raised.

    A client reads it, so the file and what happened to it are told to the log alone. What does
    not come from the file's circumstances is a bug, and returned as it is.
    """
    code = _code(error)
    if code is None:
        return error
    translated: BrokerError
    if code == sqlite3.SQLITE_FULL:
        # Told by the writer, once and not for each refused publish.
        translated = StorageFull("the disk that holds the messages has no room; nothing was stored")
    else:
        logger.warning("an operation on %s failed: %s", path, error)
        translated = Unavailable("the storage cannot be used now; try again later")
    translated.__cause__ = error
    return translated


def give_up(error: Exception, path: Path) -> StorageFailed:
    """Return what everybody is told from now on, after an error that is fatal or a bug."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    remedy = "see that its disk works, and start the broker again"
    if _code(error) in _DAMAGE:
        remedy = "it is damaged, so restore a backup"
    failed = StorageFailed(f"{path} is not written any more ({error}, {name}): {remedy}")
    failed.__cause__ = error
    return failed


def is_fatal(error: Exception) -> bool:
    """Tell whether the file cannot be trusted before it was opened anew."""
    return _code(error) in _FATAL


def _code(error: Exception) -> int | None:
    """Return the primary result code; None for what is no failure of SQLite or the disk."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return sqlite3.SQLITE_FULL
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
        return sqlite3.SQLITE_CORRUPT  # a row that nobody wrote like this
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and isinstance(error, sqlite3.OperationalError):
        return sqlite3.SQLITE_CORRUPT  # sqlite3 itself: a text is not UTF-8
    if code is None or isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):
        return None
    return int(code) & 0xFF
