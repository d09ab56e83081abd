"""What the tests of this plugin share."""

from pathlib import Path

import pytest

from broker.testing import ManualClock, Workbench
from broker_storage_sqlite.storage import SQLiteStorage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "broker.db"


@pytest.fixture
def bench(path: Path) -> Workbench:
    return Workbench(lambda: SQLiteStorage(path), ManualClock())
