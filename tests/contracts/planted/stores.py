"""Ordered stores with a bug each."""

from collections.abc import Iterator, Mapping

from broker import OrderedStore
from broker import StorageFull
from sorted_dict import Disk, SortedDict

Changes = Mapping[bytes, bytes | None]
Pairs = Iterator[tuple[bytes, bytes]]


class LosesTheLastCommit(SortedDict):
    """Answers before it is sure: each commit reaches the disk with the next one, or at the end."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(Disk(disk))
        self.below = disk
        self.late: dict[bytes, bytes] = {}

    def open(self) -> None:
        super().open()
        self.late = dict(self.disk)

    def commit(self, changes: Changes) -> None:
        self.sync()
        super().commit(changes)
        self.late = dict(self.disk)

    def sync(self) -> None:
        self.below.clear()
        self.below.update(self.late)

    def close(self) -> None:
        self.sync()
        super().close()


class LosesDeletesAtTheEnd(SortedDict):
    def __init__(self, disk: Disk) -> None:
        super().__init__(Disk(disk))
        self.below = disk

    def commit(self, changes: Changes) -> None:
        super().commit(changes)
        self.below.update(self.disk)


class CommitsHalf(SortedDict):
    """Changes one key after the other, and stops when there is no room."""

    def commit(self, changes: Changes) -> None:
        for key, value in changes.items():
            super().commit({key: value})


class ReadsWhatWasRefused(SortedDict):
    """Has in memory what the disk did not take."""

    def commit(self, changes: Changes) -> None:
        for key, value in changes.items():
            self.change(key, value)
        self.demand_space({})


class StaysFull(SortedDict):
    """Does not look again whether there is room."""

    is_full = False

    def commit(self, changes: Changes) -> None:
        if self.is_full:
            raise StorageFull("the disk was full")
        self.is_full = True
        super().commit(changes)
        self.is_full = False


class ForgetsDeletes(SortedDict):
    def change(self, key: bytes, value: bytes | None) -> None:
        if value is not None:
            super().change(key, value)


class KeepsDeletedKeysForReaders(SortedDict):
    def commit(self, changes: Changes) -> None:
        super().commit(changes)
        self.deleted = {**getattr(self, "deleted", {}), **dict.fromkeys(changes, b"")}

    def get(self, key: bytes) -> bytes | None:
        found = super().get(key)
        return getattr(self, "deleted", {}).get(key) if found is None else found


class DropsEmptyValues(SortedDict):
    def change(self, key: bytes, value: bytes | None) -> None:
        super().change(key, value or None)


class KeepsTheFirstValue(SortedDict):
    def change(self, key: bytes, value: bytes | None) -> None:
        if value is None or key not in self.disk:
            super().change(key, value)


class ScansInOrderOfInsertion(SortedDict):
    def scan(self, start: bytes, stop: bytes) -> Pairs:
        return ((key, value) for key, value in self.disk.items() if start <= key < stop)


class ScansInOrderOfSignedBytes(SortedDict):
    def scan(self, start: bytes, stop: bytes) -> Pairs:
        found = dict(super().scan(start, stop))
        return iter(
            sorted(found.items(), key=lambda item: [(byte + 128) % 256 for byte in item[0]])
        )


class ScansPastTheEnd(SortedDict):
    def scan(self, start: bytes, stop: bytes) -> Pairs:
        return super().scan(start, stop + b"\x00")


class SkipsTheStartOfAScan(SortedDict):
    def scan(self, start: bytes, stop: bytes) -> Pairs:
        return super().scan(start + b"\x00", stop)


class ScansEverythingFirst(SortedDict):
    def scan(self, start: bytes, stop: bytes) -> Pairs:
        return iter([pair for pair in super().scan(start, stop)])


class HasOneCursor(SortedDict):
    """A scan that begins takes the place of the one before."""

    def scan(self, start: bytes, stop: bytes) -> Pairs:
        self.cursor = super().scan(start, stop)
        while (pair := next(self.cursor, None)) is not None:
            yield pair


class CutsKeys(SortedDict):
    """Takes keys of 255 bytes, as long as names of queues."""

    def change(self, key: bytes, value: bytes | None) -> None:
        super().change(key[:255], value)


class LetsOthersIn(SortedDict):
    def open(self) -> None:
        self.disk.is_taken = False
        super().open()


class StaysLocked(SortedDict):
    def close(self) -> None:
        """Forget the lock."""
