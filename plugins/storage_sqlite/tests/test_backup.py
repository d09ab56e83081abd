"""Backups: whole, checked, of one moment, and in nobody's way."""

import fcntl
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from broker import BrokerError, StorageLocked, StorageUnreadable
from broker.testing import Workbench
from broker_storage_sqlite import backup as backups
from broker_storage_sqlite.backup import back_up
from broker_storage_sqlite.connections import connect_reader
from broker_storage_sqlite.restore import restore


@pytest.fixture
def target(path: Path) -> Path:
    return path.with_name("backup.db")


def ids(path: Path) -> list[int]:
    with closing(connect_reader(path, is_frozen=True)) as sql:
        return [row[0] for row in sql.execute("SELECT id FROM messages ORDER BY id")]


def beside(target: Path) -> list[str]:
    """The names of all files of a backup."""
    return sorted(file.name for file in target.parent.glob(f"{target.name}*"))


async def test_a_backup_of_a_store_in_use_holds_what_was_committed(
    path: Path, bench: Workbench, target: Path
) -> None:
    async with bench:
        await bench.make_queue()
        await bench.make_queue("other")
        stored = await bench.put_many(50)
        made = back_up(path, target)
    assert ids(target) == stored
    assert (made.path, made.messages, made.queues) == (str(target), 50, 2)
    assert made.bytes == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert beside(target) == ["backup.db"]


async def test_a_backup_of_a_store_that_nobody_uses_is_the_same(
    path: Path, bench: Workbench, target: Path
) -> None:
    async with bench:
        await bench.make_queue()
        stored = await bench.put_many(3)
    back_up(path, target)
    assert ids(target) == stored


async def test_what_a_killed_broker_left_in_the_log_is_in_the_backup(
    path: Path, bench: Workbench, target: Path
) -> None:
    async with bench:
        await bench.make_queue()
        stored = await bench.put_many(3)
        for suffix in ("", "-wal"):
            left = path.with_name(f"left.db{suffix}")
            left.write_bytes(path.with_name(path.name + suffix).read_bytes())
    assert back_up(path.with_name("left.db"), target).messages == 3
    assert ids(target) == stored


def write_between(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[int], list[tuple[int, int]]]:
    """Write to the store between the steps of a copy; return the ids, and what was left to copy."""
    written: list[int] = []
    steps: list[tuple[int, int]] = []
    connect = backups.connect_reader

    class Source(sqlite3.Connection):
        def backup(self, target: sqlite3.Connection, *, pages: int, progress: object) -> None:  # type: ignore[override]  # what is called of it
            def copied(status: int, remaining: int, total: int) -> None:
                steps.append((remaining, total))
                with closing(sqlite3.connect(path, timeout=0)) as sql, sql:
                    row = sql.execute(
                        "INSERT INTO messages (queue_id, status, shelf, rank, priority, created_at,"
                        " updated_at, visible_at, content_type, headers, content)"
                        " VALUES (1, 'pending', 1, 4, 4, 0, 0, 0, '', '{}', zeroblob(100000))"
                        " RETURNING id"
                    ).fetchone()
                    written.append(row[0])

            super().backup(target, pages=pages, progress=copied)

    def reader(path: Path, *, is_frozen: bool = False) -> sqlite3.Connection:
        if is_frozen:
            return connect(path, is_frozen=True)
        return sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, isolation_level=None, factory=Source
        )

    monkeypatch.setattr(backups, "connect_reader", reader)
    return written, steps


async def test_writes_go_on_during_a_backup_and_do_not_make_it_begin_again(
    path: Path, bench: Workbench, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench:
        await bench.make_queue()
        stored = [await bench.put(b"x" * 1_000_000) for _ in range(5)]
    written, steps = write_between(path, monkeypatch)
    back_up(path, target)
    assert ids(target) == stored
    assert len(written) == len(steps) >= 5
    totals = {total for _, total in steps}
    assert len(totals) == 1
    assert [left for left, _ in steps] == sorted((left for left, _ in steps), reverse=True)


async def test_a_file_that_is_there_stays_unless_forced(
    path: Path, bench: Workbench, target: Path
) -> None:
    async with bench:
        await bench.make_queue()
    target.write_text("precious")
    with pytest.raises(BrokerError, match="is there already; --force overwrites it"):
        back_up(path, target)
    assert target.read_text() == "precious"
    assert back_up(path, target, force=True).queues == 1


async def test_a_log_beside_what_is_overwritten_is_no_part_of_the_new_backup(
    path: Path, bench: Workbench, target: Path
) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put()
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{path}{suffix}", f"{target}{suffix}")
        await bench.put_many(50)
        assert back_up(path, target, force=True).messages == 51
    assert beside(target) == ["backup.db"]
    assert restore(path.with_name("restored.db"), target).messages == 51


async def test_a_file_that_appears_meanwhile_stays(
    path: Path, bench: Workbench, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench:
        await bench.make_queue()
    monkeypatch.setattr(backups, "count", lambda path: (0, target.write_text("precious")))
    with pytest.raises(BrokerError, match="is there already"):
        back_up(path, target)
    assert target.read_text() == "precious"
    assert beside(target) == ["backup.db"]


async def test_neither_the_store_nor_a_directory_is_overwritten(
    path: Path, bench: Workbench, tmp_path: Path
) -> None:
    async with bench:
        await bench.make_queue()
    before = path.read_bytes()
    for target in (path, tmp_path):
        with pytest.raises(BrokerError, match="is not to be overwritten; name another file"):
            back_up(path, target, force=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".lock", ".partial", ".new"])
async def test_no_file_of_a_store_in_use_is_overwritten(
    path: Path, bench: Workbench, suffix: str
) -> None:
    async with bench:
        await bench.make_queue()
        with pytest.raises(BrokerError, match="is not to be overwritten; name another file"):
            back_up(path, path.with_name(f"broker.db{suffix}"), force=True)
        await bench.put()
    assert beside(path) == ["broker.db", "broker.db.lock"]


async def test_a_place_that_cannot_be_written_is_named(path: Path, bench: Workbench) -> None:
    async with bench:
        pass
    with pytest.raises(StorageUnreadable) as refused:
        back_up(path, path / "backup.db")
    assert str(refused.value) == f"{path} cannot be made (File exists); choose another place"


async def test_damage_is_not_backed_up(path: Path, bench: Workbench, target: Path) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put(b"x" * 20_000)
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096)
    with pytest.raises(StorageUnreadable, match="is damaged .*; see broker db check$"):
        back_up(path, target)
    assert beside(target) == []


def test_a_database_of_another_program_is_not_backed_up(path: Path, target: Path) -> None:
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute("CREATE TABLE t (a)")
    with pytest.raises(StorageUnreadable, match="is no store of this broker"):
        back_up(path, target)
    assert beside(target) == []


async def test_what_a_killed_backup_left_is_no_part_of_the_next(
    path: Path, bench: Workbench, target: Path
) -> None:
    async with bench:
        await bench.make_queue()
    for suffix in (".partial", ".partial-wal", ".partial-journal"):
        target.with_name(target.name + suffix).write_bytes(b"half" * 10_000)
    back_up(path, target)
    assert beside(target) == ["backup.db"]


async def test_two_backups_never_write_one_file(path: Path, bench: Workbench, target: Path) -> None:
    async with bench:
        pass
    partial = target.with_name("backup.db.partial")
    with partial.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StorageLocked, match="is being written by another process"):
            back_up(path, target)
        assert partial.exists()


async def test_the_copy_of_a_big_store_is_synced_on_the_way(
    path: Path, bench: Workbench, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench:
        await bench.make_queue()
        for _ in range(3):
            await bench.put(b"x" * 16_000_000)
    synced: list[int] = []
    sync = os.fsync

    def spy(descriptor: int) -> None:
        if not target.exists():
            synced.append(os.fstat(descriptor).st_size)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    made = back_up(path, target)
    # The last one is that of the whole file.
    assert len(synced) == made.bytes // 4096 // 256 // 16 + 1


async def test_the_directory_of_a_backup_is_made(path: Path, bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        back_up(path, path.with_name("new") / "deep" / "backup.db")
    assert stat.S_IMODE(path.with_name("new").stat().st_mode) == 0o700
    assert beside(path.with_name("new") / "deep" / "backup.db") == ["backup.db"]


async def test_a_store_that_no_broker_would_start_with_is_not_backed_up(
    path: Path, bench: Workbench, target: Path
) -> None:
    left = path.with_name("left")
    left.mkdir()
    async with bench:
        await bench.make_queue()
        await bench.put_many(3)
        for name in (path.name, f"{path.name}.lock"):  # and not its log
            shutil.copy(path.with_name(name), left)
    target.write_bytes(b"a better one")
    with pytest.raises(StorageUnreadable, match="lacks what was answered last"):
        back_up(left / path.name, target, force=True)
    assert target.read_bytes() == b"a better one"
