"""The contract, kept by storages that share their data, as two processes share a server's."""

from pathlib import Path
from typing import ClassVar

from broker import Capability, Storage
from broker.builtin.memory import MemoryStorage
from broker.testing import ManualClock, StorageContract


class SharedStorage(MemoryStorage):
    capabilities: ClassVar[frozenset[Capability]] = MemoryStorage.capabilities | {"shared"}


class TestSharedStorage(StorageContract):
    race_messages = crowd_messages = 10_000

    def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
        storage = SharedStorage()
        data = self.__dict__.setdefault("data", {})
        storage._data = data.setdefault(tmp_path, storage._data)
        return storage
