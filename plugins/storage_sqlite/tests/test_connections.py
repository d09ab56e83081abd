"""Connections: how they are set."""

from contextlib import closing
from pathlib import Path

import pytest

from broker_storage_sqlite.connections import connect_writer


@pytest.mark.parametrize("pragma", ["fullfsync", "checkpoint_fullfsync"])
def test_what_is_fsynced_leaves_the_cache_of_the_disk_too(path: Path, pragma: str) -> None:
    path.touch()
    with closing(connect_writer(path, "full")) as sql:
        assert sql.execute(f"PRAGMA {pragma}").fetchone() == (1,)
