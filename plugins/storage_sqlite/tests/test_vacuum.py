"""Vacuuming: smaller, and nothing else is different."""

import os
import sqlite3
from collections import namedtuple
from contextlib import closing
from pathlib import Path

import pytest

from broker import StorageFull, StorageLocked, StorageUnreadable
from broker.testing import Workbench
from broker_storage_sqlite.check import check
from broker_storage_sqlite.connections import connect_reader
from broker_storage_sqlite.vacuum import vacuum


async def fill(bench: Workbench) -> None:
    """Leave a store with much room in it."""
    await bench.make_queue()
    await bench.put_many(1000, dedup_key=None)
    for _ in range(20):
        await bench.put(b"x" * 100_000)
    await bench.put(b"last", dedup_key="k")
    await bench.delete(queue="q", limit=1015)


async def test_a_store_gets_as_small_as_what_it_holds(path: Path, bench: Workbench) -> None:
    async with bench:
        await fill(bench)
        everything = await bench.everything()
    vacuumed = await vacuum(path)
    assert vacuumed.after == path.stat().st_size
    assert vacuumed.after < vacuumed.before / 2
    assert [file.name for file in sorted(path.parent.iterdir())] == ["broker.db", "broker.db.lock"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert check(path).findings == []
    async with bench:
        assert await bench.everything() == everything
        [again] = await bench.publish(bench.message(dedup_key="k"))
        assert (again.id, again.duplicate) == (1021, True)
        assert await bench.put() == 1022


async def test_a_vacuumed_store_keeps_how_it_is_written(path: Path, bench: Workbench) -> None:
    pragmas = ("journal_mode", "auto_vacuum", "application_id", "user_version", "page_size")

    def settings() -> list[object]:
        with closing(sqlite3.connect(path)) as sql:
            return [sql.execute(f"PRAGMA {pragma}").fetchone() for pragma in pragmas]

    async with bench:
        await fill(bench)
    before = settings()
    await vacuum(path)
    assert settings() == before
    assert before[:2] == [("wal",), (2,)]


async def test_a_store_without_room_for_a_copy_is_left_as_it_is(
    path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench:
        await fill(bench)
    before = path.read_bytes()
    disk = namedtuple("disk", "f_bavail f_frsize")(32 * 256 + 1, 4096)
    monkeypatch.setattr(os, "statvfs", lambda path: disk)
    with pytest.raises(StorageFull) as refused:
        await vacuum(path)
    assert str(refused.value).startswith(f"vacuuming {path} takes ")
    assert str(refused.value).endswith("there are 4096; free some first")
    assert refused.value.exit_code == 74
    assert path.read_bytes() == before


async def test_a_store_in_use_is_not_vacuumed(path: Path, bench: Workbench) -> None:
    async with bench:
        with pytest.raises(StorageLocked):
            await vacuum(path)


async def test_a_store_that_is_being_read_is_not_vacuumed(path: Path, bench: Workbench) -> None:
    async with bench:
        await fill(bench)
    with closing(connect_reader(path)) as sql:
        sql.execute("BEGIN")
        sql.execute("SELECT count(*) FROM messages").fetchone()
        with pytest.raises(StorageLocked, match="is being read by another program"):
            await vacuum(path)
    assert check(path).findings == []


async def test_a_store_that_lacks_what_was_answered_is_not_vacuumed(
    path: Path, bench: Workbench
) -> None:
    async with bench:
        await bench.make_queue()
    older = path.read_bytes()
    async with bench:
        await bench.put()
    path.write_bytes(older)
    with pytest.raises(StorageUnreadable, match="lacks what was answered last"):
        await vacuum(path)
    assert path.read_bytes() == older


async def test_a_store_that_is_not_there_is_not_made(path: Path) -> None:
    with pytest.raises(StorageUnreadable, match="is not there"):
        await vacuum(path)
    assert list(path.parent.iterdir()) == []
