"""The contracts of the core, kept by LMDB."""

from pathlib import Path

from broker import OrderedStorage, OrderedStore, Storage
from broker.testing import ManualClock, OrderedStoreContract, StorageContract
from broker_storage_lmdb.storage import LMDBStore


class TestLMDBStore(OrderedStoreContract):
    contract = "1.0"

    def make_store(self, tmp_path: Path) -> OrderedStore:
        return LMDBStore(tmp_path, 4 * 1024**3)

    def make_small_store(self, tmp_path: Path) -> OrderedStore:
        return LMDBStore(tmp_path, 4 * 1024**2)


class TestLMDBStorage(StorageContract):
    contract = "1.0"

    def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
        return OrderedStorage(LMDBStore(tmp_path, 4 * 1024**3))
