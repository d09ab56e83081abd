"""The storage contract of the core, kept by a file on disk."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from broker import Storage
from broker.testing import ManualClock, Steps, StorageContract
from broker_storage_sqlite.storage import SQLiteStorage

# Two hundred programs on a disk that others use, too.
pytestmark = pytest.mark.timeout(300)


class TestSQLiteStorage(StorageContract):
    def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
        return SQLiteStorage(tmp_path / "broker.db")

    @asynccontextmanager
    async def count_steps(self, storage: Storage) -> AsyncIterator[Steps]:
        """Count how often SQLite asks whether to go on: at every turn of every loop."""
        assert isinstance(storage, SQLiteStorage)
        steps = Steps()

        def take_one() -> None:
            steps.taken += 1

        assert storage._reader._connection is not None
        reader = storage._reader._connection.raw_connection
        await storage._writer.run(lambda tx: tx.sql.set_progress_handler(take_one, 1))
        await reader.set_progress_handler(take_one, 1)
        yield steps
        await storage._writer.run(lambda tx: tx.sql.set_progress_handler(None, 1))
        await reader.set_progress_handler(None, 1)
