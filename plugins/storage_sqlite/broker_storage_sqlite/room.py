"""Room for messages: publishing stops while there is still enough for everything else."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

RESERVE_BYTES = 32 * 1024 * 1024
"""Kept free on the disk, so that messages can be leased and settled when it is full."""

RESERVE_INSIDE_BYTES = 1024 * 1024
"""Kept free inside the file, when the disk has no more than its reserve."""


def demand_room(sql: sqlite3.Connection, path: Path, size: int) -> None:
    """Raise OSError unless bodies of that size fit, on the disk or between what is stored."""
    wanted = 2 * size  # once in the log and once in the file, or more for small ones
    if free_on_disk(path) >= RESERVE_BYTES + wanted:
        return
    if _free_inside(sql) < RESERVE_INSIDE_BYTES + wanted:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def free_on_disk(path: Path) -> int:
    """Return how many bytes the disk of a database has left."""
    disk = os.statvfs(path.parent)
    return disk.f_bavail * disk.f_frsize


def _free_inside(sql: sqlite3.Connection) -> int:
    [pages] = sql.execute("PRAGMA freelist_count").fetchone()
    [page_size] = sql.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page_size)
