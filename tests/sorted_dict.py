"""An ordered store in memory: what `OrderedStore` means, in a few lines, for tests."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping

from broker import OrderedStore, StorageFull, StorageLocked


class Disk(dict[bytes, bytes]):
    """What outlives a store, as a disk outlives a process."""

    is_taken = False
    room: int | None = None
    """How many bytes of values it takes."""


class SortedDict(OrderedStore):
    """Keeps everything in a dict that its maker owns."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.keys: list[bytes] = []

    def open(self) -> None:
        if self.disk.is_taken:
            raise StorageLocked("another store has this disk")
        self.disk.is_taken = True
        self.keys = sorted(self.disk)

    def close(self) -> None:
        self.disk.is_taken = False

    def get(self, key: bytes) -> bytes | None:
        return self.disk.get(key)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        for position in range(bisect_left(self.keys, start), len(self.keys)):
            key = self.keys[position]
            if key >= stop:
                return
            yield key, self.disk[key]

    def commit(self, changes: Mapping[bytes, bytes | None]) -> None:
        self.demand_space(changes)
        for key, value in changes.items():
            self.change(key, value)

    def demand_space(self, changes: Mapping[bytes, bytes | None]) -> None:
        if self.disk.room is not None:
            after = {**self.disk, **changes}
            if sum(len(value) for value in after.values() if value) > self.disk.room:
                raise StorageFull("the disk is full")

    def change(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            if self.disk.pop(key, None) is not None:
                del self.keys[bisect_left(self.keys, key)]
            return
        if key not in self.disk:
            insort(self.keys, key)
        self.disk[key] = value
