"""The contract of storages, kept by the memory storage."""

from pathlib import Path

from broker import Storage
from broker.builtin.memory import MemoryStorage
from broker.testing import ManualClock, StorageContract


class TestMemoryStorage(StorageContract):
    def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
        return MemoryStorage()
