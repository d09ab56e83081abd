"""Files that are made beside their place, so that nobody ever finds half of one there."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType

from broker import StorageLocked, StorageUnreadable

SIDECARS = ("-wal", "-shm", "-journal")
"""What SQLite puts beside a database; it would take an old one for part of a new database."""

_OURS = (".lock", ".partial", ".new")
"""What this plugin puts beside a database."""

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Partial:
    """A private, empty file `<target>.partial` to be filled, and moved to `target` when whole.

    Use it in a `with` block: what was not moved is removed. One process at a time makes it.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = beside(target, ".partial")
        self._descriptor = -1
        self._is_placed = False

    def __enter__(self) -> Partial:
        try:
            self._descriptor = os.open(self.path, _FLAGS, 0o600)
        except OSError as error:
            if self.path.is_symlink():
                raise self._foreign() from error
            problem = f"{self.path} cannot be made ({error.strerror}); choose another place"
            raise StorageUnreadable(problem) from error
        try:
            self._lock()
            self._make_private()
        except BaseException:
            os.close(self._descriptor)
            raise
        # What a process that was killed left here.
        os.ftruncate(self._descriptor, 0)
        remove_sidecars(self.path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Once it is placed, what has its name is another process's.
        if not self._is_placed:
            self.path.unlink(missing_ok=True)
            remove_sidecars(self.path)
        os.close(self._descriptor)

    def sync(self) -> None:
        """Wait until what was written so far is on disk."""
        os.fsync(self._descriptor)

    def place(self) -> None:
        """Move it to its place, durably, over what is there, whose owner it gets.

        Nothing stays beside it that belonged to what was there: SQLite would read it as its own.
        """
        if os.geteuid() == 0 and self._target.exists():
            owner = self._target.stat()
            os.fchown(self._descriptor, owner.st_uid, owner.st_gid)
        os.fsync(self._descriptor)
        # What is beside a database that is not there is left: it keeps brokers from making one.
        if self._target.exists():
            remove_sidecars(self._target)
            sync_directory(self._target)
        self.path.rename(self._target)
        self._is_placed = True
        sync_directory(self._target)
        remove_sidecars(self._target)
        sync_directory(self._target)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held the lock a moment ago may have moved the file to its place.
            is_mine = os.path.samestat(os.fstat(self._descriptor), self.path.lstat())
        except (BlockingIOError, FileNotFoundError):
            is_mine = False
        if not is_mine:
            raise StorageLocked(f"{self.path} is being written by another process; try again later")

    def _make_private(self) -> None:
        """Refuse a file that others have put there, or can still read and write."""
        found = os.fstat(self._descriptor)
        is_own = found.st_uid == os.geteuid() and found.st_nlink == 1
        if not is_own or not stat.S_ISREG(found.st_mode):
            raise self._foreign()
        os.fchmod(self._descriptor, 0o600)

    def _foreign(self) -> StorageUnreadable:
        return StorageUnreadable(
            f"{self.path} is a link, or not a file of the user that runs this; remove it"
        )


def beside(path: Path, suffix: str) -> Path:
    """Return the path of a file that belongs to another one."""
    return path.with_name(path.name + suffix)


def belongs_to(file: Path, path: Path) -> bool:
    """Tell whether a file is a store, or has a name that is kept for one of its files."""
    own = [beside(path.resolve(), suffix) for suffix in ("", *SIDECARS, *_OURS)]
    return any(file.resolve() == other or is_same(file, other) for other in own)


def is_same(first: Path, second: Path) -> bool:
    """Tell whether two names lead to one file that is there."""
    return first.exists() and second.exists() and first.samefile(second)


def is_filled(path: Path) -> bool:
    """Tell whether there is a file with anything in it."""
    return path.exists() and path.stat().st_size > 0


def remove_sidecars(path: Path) -> None:
    """Remove what SQLite left beside a database that is gone."""
    for suffix in SIDECARS:
        beside(path, suffix).unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make the names in the directory of a file durable."""
    sync(path.parent)


def sync(path: Path) -> None:
    """Make durable what is in a file, or what was made or renamed in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
