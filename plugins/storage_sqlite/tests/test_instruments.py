"""What the storage shows of its disk."""

import os
from pathlib import Path

import pytest

from broker import Meter
from broker.testing import ManualClock, Workbench
from broker_storage_sqlite.instruments import Instruments
from broker_storage_sqlite.room import free_on_disk
from broker_storage_sqlite.storage import SQLiteStorage


def shown(meter: Meter) -> dict[str, object]:
    failures: list[object] = []
    measured = meter.read(lambda *failure: failures.append(failure))
    numbers = {one.name: one.points[()] for one in measured}
    assert failures == []
    return numbers


async def test_commits_that_change_something_are_recorded(path: Path) -> None:
    meter = Meter()
    async with Workbench(lambda: SQLiteStorage(path, meter=meter), ManualClock()) as bench:
        before = shown(meter)
        await bench.make_queue()
        await bench.put()
        assert await bench.take("q", limit=1) != []
        await bench.storage.maintain(now=bench.now, limit=1)  # changes nothing
        after = shown(meter)

    for name in ("broker_storage_commit_seconds", "broker_storage_batch_size"):
        assert sum(after[name].counts) == sum(before[name].counts) + 3
    assert after["broker_storage_batch_size"].sum == before["broker_storage_batch_size"].sum + 3
    assert after["broker_storage_commit_seconds"].sum > 0


async def test_the_log_and_the_disk_are_looked_at_with_each_upkeep(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = Meter()
    async with Workbench(lambda: SQLiteStorage(path, meter=meter), ManualClock()) as bench:
        assert shown(meter)["broker_storage_free_bytes"] > 0
        await bench.make_queue()
        await bench.put(bytes(100_000))
        monkeypatch.setattr("broker_storage_sqlite.instruments.free_on_disk", lambda _: 7)
        await bench.storage.maintain(now=bench.now, limit=1)
        numbers = shown(meter)

        assert numbers["broker_storage_free_bytes"] == 7
        assert numbers["broker_storage_bytes"] == os.stat(path).st_size > 0
        assert numbers["broker_storage_wal_bytes"] == os.stat(f"{path}-wal").st_size > 100_000


def test_what_cannot_be_looked_at_stays_as_it_was(path: Path) -> None:
    meter = Meter()
    instruments = Instruments(meter, path)
    path.write_bytes(b"123")
    path.with_name("broker.db-wal").write_bytes(b"12345")
    instruments.look()
    path.with_name("broker.db-wal").unlink()
    instruments.look()

    numbers = shown(meter)
    assert numbers["broker_storage_bytes"] == 3
    assert numbers["broker_storage_wal_bytes"] == 5
    assert numbers["broker_storage_free_bytes"] == pytest.approx(free_on_disk(path), rel=0.1)
