"""A lock file, so that two processes never write to one database."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from broker import StorageLocked


class FileLock:
    """An exclusive lock on `<path>.lock`; the kernel lifts it when the process ends, however."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; raises StorageLocked if somebody else has it, and OSError."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise StorageLocked(
                f"{self._path} is locked: another broker uses this database; stop it, or set"
                " plugins.storage_sqlite.path to another file"
            ) from error
        self._descriptor = descriptor

    def forget(self) -> None:
        """Forget what is remembered of the database: another one takes its place."""
        assert self._descriptor is not None, "whoever holds the lock calls this"
        os.ftruncate(self._descriptor, 0)

    def release(self) -> None:
        """Give the lock back, if it was taken. The file stays: removing it would race."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
