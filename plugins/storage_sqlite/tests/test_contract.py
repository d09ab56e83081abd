"""The storage contract of the core, kept by a file on disk."""

from pathlib import Path

from broker import Storage
from broker.testing import ManualClock, StorageContract
from broker_storage_sqlite.storage import SQLiteStorage


class TestSQLiteStorage(StorageContract):
    def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
        return SQLiteStorage(tmp_path / "broker.db")
