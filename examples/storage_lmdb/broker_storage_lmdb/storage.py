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
        self._data = path / "data.mdb"
        self._max_bytes = max_bytes

    def describe(self) -> str:
        """Say where the environment is."""
        return f"LMDB in {self._path}"

    def open(self) -> None:
        """Lock and open the environment."""
        self._path.mkdir(parents=True, exist_ok=True)
        lock = self._path / "broker.lock"
        lock.touch(0o600)  # others could lock it, too
        with ExitStack() as opened, _startup_errors(self._path):
            self._lock = opened.enter_context(lock.open("r+"))
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._demand_whole_file()
            self._env = lmdb.open(str(self._path), map_size=self._max_bytes, mode=0o600)
            opened.callback(self._env.close)
            self._note_size()
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
            self._note_size()
            self._read = self._env.begin()

    def demand_room(self, size: int) -> None:
        """Refuse new messages before those that are there cannot be settled any more."""
        stat = self._env.stat()
        pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        if pages * stat["psize"] + size > self._max_bytes * (1 - RESERVE):
            raise StorageFull("the store has no room for new messages; nothing was stored")

    def _demand_whole_file(self) -> None:
        # Reading beyond the end of a file that is mapped ends the process, and LMDB's own numbers
        # do not tell where that is: it never writes pages at the end that one commit took and
        # freed. But the file never becomes smaller.
        noted = self._lock.read()
        self._size, found = int(noted) if noted.isdecimal() else 0, self._measure()
        if found < self._size:
            raise StorageUnreadable(
                f"{self._data} was cut short or removed: it has {found} bytes of {self._size}; "
                f"restore it, or remove {self._lock.name} to take it as it is"
            )

    def _note_size(self) -> None:
        """Write down how large the file is, which is no larger than what was synced."""
        if (found := self._measure()) > self._size:
            self._size = found
            self._lock.seek(0)
            self._lock.write(f"{found:020}")
            self._lock.flush()

    def _measure(self) -> int:
        return self._data.stat().st_size if self._data.exists() else 0


@contextmanager
def _startup_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError as error:
        raise StorageLocked(f"another process has {path}; stop it first") from error
    except lmdb.Error as error:
        raise StorageUnreadable(f"{path} cannot be opened: {error}") from error
