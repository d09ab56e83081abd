"""LMDB as an ordered store."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import lmdb
from broker import OrderedStore, StorageFull, StorageLocked, StorageUnreadable

RESERVE = 0.1
"""The share of the file that new messages leave to those that are there."""


class LMDBStore(OrderedStore):
    """Keeps everything in one LMDB environment, which is synced at each commit."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes

    def describe(self) -> str:
        """Say where the environment is."""
        return f"LMDB in {self._path}"

    def open(self) -> None:
        """Lock and open the environment."""
        self._path.mkdir(parents=True, exist_ok=True)
        lock, data = self._path / "broker.lock", self._path / "data.mdb"
        is_known = lock.exists()
        with ExitStack() as opened, _startup_errors(self._path):
            fcntl.flock(opened.enter_context(lock.open("w")), fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_known and not (data.exists() and data.stat().st_size):
                raise StorageUnreadable(f"{data} is gone; to begin anew remove {lock}, too")
            self._env = lmdb.open(str(self._path), map_size=self._max_bytes, mode=0o600)
            opened.callback(self._env.close)
            self._read = self._env.begin()
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close the environment, and let others have it."""
        self._read.abort()
        self._opened.close()

    def get(self, key: bytes) -> bytes | None:
        """Return what is kept under a key."""
        return self._read.get(key)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield what is kept in a range of keys."""
        with self._read.cursor() as cursor:
            found = cursor.set_range(start)
            while found and (item := cursor.item())[0] < stop:
                yield item
                found = cursor.next()

    def commit(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Write and sync all changes; what is read from now on knows them."""
        self._read.abort()  # it would keep the pages that are freed from being used again
        try:
            with self._env.begin(write=True) as write:
                for key, value in changes.items():
                    write.delete(key) if value is None else write.put(key, value)
        except (lmdb.MapFullError, lmdb.DiskError) as error:
            raise StorageFull("the store has no room; nothing was stored") from error
        finally:
            self._read = self._env.begin()

    def demand_room(self, size: int) -> None:
        """Refuse new messages before those that are there cannot be settled any more."""
        stat = self._env.stat()
        pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        if pages * stat["psize"] + size > self._max_bytes * (1 - RESERVE):
            raise StorageFull("the store has no room for new messages; nothing was stored")


@contextmanager
def _startup_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError as error:
        raise StorageLocked(f"another process has {path}; stop it first") from error
    except lmdb.Error as error:
        raise StorageUnreadable(f"{path} cannot be opened: {error}") from error
