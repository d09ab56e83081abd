"""A full disk: publishing is refused, and everything else goes on."""

import os
from pathlib import Path

import pytest

from broker import StorageFull
from broker.testing import Workbench
from broker_storage_sqlite import room
from broker_storage_sqlite.storage import SQLiteStorage


def storage_of(bench: Workbench) -> SQLiteStorage:
    assert isinstance(bench.storage, SQLiteStorage)
    return bench.storage


async def run_sql(bench: Workbench, statement: str) -> list[tuple[object, ...]]:
    """Run a statement on the writing connection."""
    return await storage_of(bench)._writer.run(lambda tx: tx.execute(statement).fetchall())


async def test_a_full_file_refuses_publishing_and_still_leases_and_settles(
    bench: Workbench,
) -> None:
    async with bench:
        await bench.make_queue(retain_processed=0)
        for _ in range(20):
            await bench.put(bytes(100_000))
        [[pages]] = await run_sql(bench, "PRAGMA page_count")
        await run_sql(bench, f"PRAGMA max_page_count = {pages + 30}")
        with pytest.raises(
            StorageFull, match="^the disk that holds the messages has no room; noth"
        ):
            await bench.put(bytes(1_000_000))
        assert (await bench.counts()).pending == 20
        leases = await bench.take(limit=15)
        assert len(leases) == 15
        for lease in leases:
            assert (await bench.ack(lease)).outcome == "ok"
        await bench.put(bytes(1_000_000))
        assert (await bench.counts()).pending == 6


def leave_on_disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Make the disk look as if it had `free` bytes left."""
    really = os.statvfs

    def statvfs(where: Path) -> os.statvfs_result:
        found = list(really(where))
        found[1], found[4] = 1, free  # f_frsize, f_bavail
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", statvfs)


async def test_a_publish_leaves_the_disk_its_reserve(
    path: Path,
    bench: Workbench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put(b"before")
        leave_on_disk(monkeypatch, room.RESERVE_BYTES + 2000)
        await bench.put(bytes(1000))
        with pytest.raises(StorageFull) as refused:
            await bench.put(bytes(1001))
        said = "the disk that holds the messages has no room; nothing was stored"
        assert str(refused.value) == said
        assert str(path) in caplog.text
        lease = await bench.take_one()
        with pytest.raises(StorageFull):
            await bench.settle(bench.op(lease, "ack"), publish=[bench.message(bytes(1001))])
        assert (await bench.ack(lease)).outcome == "ok"


async def test_a_publish_may_use_what_removed_messages_left_inside_the_file(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench:
        await bench.make_queue()
        big = await bench.put(bytes(room.RESERVE_INSIDE_BYTES + 100_000))
        leave_on_disk(monkeypatch, 0)
        with pytest.raises(StorageFull):
            await bench.put(b"small")
        await bench.delete(ids=(big,))
        await bench.put(bytes(20_000))
        with pytest.raises(StorageFull):
            await bench.put(bytes(100_000))


async def test_a_ping_fails_while_the_disk_has_nothing_but_its_reserve(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench:
        leave_on_disk(monkeypatch, room.RESERVE_BYTES - 1)
        with pytest.raises(StorageFull):
            await bench.storage.ping()
        leave_on_disk(monkeypatch, room.RESERVE_BYTES)
        await bench.storage.ping()


async def test_a_full_disk_is_told_once_and_once_more_when_it_is_over(
    path: Path,
    bench: Workbench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put(b"before")
        for _ in range(2):
            with monkeypatch.context() as full:
                leave_on_disk(full, 0)
                for _ in range(3):
                    with pytest.raises(StorageFull):
                        await bench.put(b"refused")
                await bench.take()
            for _ in range(3):
                await bench.put(b"stored")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            f"no room for {path}: publishing is refused until more than 32 MiB are free",
        ),
        ("WARNING", f"there is room for {path} again"),
    ] * 2
