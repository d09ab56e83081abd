"""A lock file, so that two processes never write to one database; it also keeps a note."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from broker import StorageLocked, StorageUnreadable

from broker_storage_sqlite.partial import beside

_NOTE_BYTES = 512
"""How long a note may be: what a disk writes wholly or not at all."""

_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


def lock_path(path: Path) -> Path:
    """Return where the lock file of a database is."""
    return beside(path, ".lock")


def read_note(path: Path) -> bytes:
    """Return the note beside a database, whoever has the lock; it may be half written."""
    lock = lock_path(path)
    return lock.read_bytes()[:_NOTE_BYTES] if lock.is_file() else b""


class FileLock:
    """An exclusive lock on `<path>.lock`; the kernel lifts it when the process ends, however."""

    def __init__(self, path: Path) -> None:
        self._database = path
        self._path = lock_path(path)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; raises StorageLocked, StorageUnreadable and OSError."""
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise StorageLocked(
                f"{self._path} is locked: another broker uses this database; stop it, or set"
                " plugins.storage_sqlite.path to another file"
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back, if it was taken. The file stays: removing it would race."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read(self) -> bytes:
        """Return the note that was left in the file; the caller holds the lock."""
        return os.pread(self._held, _NOTE_BYTES, 0)

    def write(self, note: bytes) -> None:
        """Leave a note. It survives the process; nothing is done for it to survive a power cut."""
        os.pwrite(self._held, note, 0)

    def forget(self) -> None:
        """Remove the note: whatever store is put in the place of the old one is the right one."""
        os.ftruncate(self._held, 0)
        # The other notes may be lost in a power cut; this one would be there again.
        os.fsync(self._held)

    def _open(self) -> int:
        try:
            descriptor = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            if self._path.is_symlink():
                problem = f"{self._path} is a link, and could lead to any file; remove it"
                raise StorageUnreadable(problem) from error
            return os.open(self._path, _FLAGS)
        if os.geteuid() == 0:
            # A broker that may not open it could not start.
            there = self._database if self._database.exists() else self._database.parent
            owner = there.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        return descriptor

    @property
    def _held(self) -> int:
        assert self._descriptor is not None, "the caller holds the lock"
        return self._descriptor
