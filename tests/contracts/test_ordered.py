"""The contracts of ordered stores and storages, kept by a sorted dict and the base on it."""

from pathlib import Path

from broker import OrderedStorage, OrderedStore, Storage
from broker.testing import ManualClock, OrderedStoreContract, StorageContract
from sorted_dict import Disk, SortedDict


class Disks:
    """For each directory a disk in memory, and what a crash leaves of it."""

    def __init__(self) -> None:
        self.disks: dict[Path, Disk] = {}

    def at(self, path: Path) -> Disk:
        return self.disks.setdefault(path, Disk())

    def crash(self, path: Path) -> Path:
        self.disks[path / "left"] = Disk(self.disks[path])
        return path / "left"


class TestSortedDict(OrderedStoreContract):
    def setup_method(self) -> None:
        self.disks = Disks()

    def make_store(self, tmp_path: Path) -> OrderedStore:
        return SortedDict(self.disks.at(tmp_path))

    def make_small_store(self, tmp_path: Path) -> OrderedStore:
        store = SortedDict(self.disks.at(tmp_path))
        store.disk.room = 1_000_000
        return store

    def crash(self, tmp_path: Path) -> Path:
        return self.disks.crash(tmp_path)


class TestOrderedStorage(StorageContract):
    race_messages = crowd_messages = 10_000  # LMDB, among the examples, has the full crowd

    def setup_method(self) -> None:
        self.disks = Disks()

    def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
        return OrderedStorage(SortedDict(self.disks.at(tmp_path)))

    def crash(self, tmp_path: Path) -> Path:
        return self.disks.crash(tmp_path)
