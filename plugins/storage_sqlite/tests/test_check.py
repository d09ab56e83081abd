"""Checking: every kind of mistake is found, told with numbers, and mended where that can be."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from lives import Life

from broker import StorageLocked, StorageUnreadable
from broker.testing import Workbench
from broker_storage_sqlite import check as checking
from broker_storage_sqlite.check import check, find_all, repair
from broker_storage_sqlite.connections import connect_reader
from broker_storage_sqlite.schema import read_migrations
from broker_storage_sqlite.storage import SQLiteStorage
from broker_storage_sqlite.witness import Stamp, Witness, read_witness


async def fill(bench: Workbench) -> None:
    """Do everything that a storage can do, with all kinds of messages."""
    await bench.make_queue("dead")
    await bench.make_queue(dead_letter_queue="dead", max_deliveries=2)
    await bench.make_queue("fifo", ordering="group_fifo")
    for number, group in enumerate((None, None, "a", "a", "b", "b", "c")):
        await bench.put(group=group, dedup_key=f"{number}")
        await bench.put(b"longer", queue="fifo", group=group, priority=9)
    await bench.put_many(3, delay=10, ttl=5, group="a")
    await bench.put_many(3, delay=10)
    leases = await bench.take(limit=4, seconds=5)
    for lease, kind in zip(leases, ("ack", "retry", "release", "reject"), strict=False):
        await bench.do(lease, kind)
    await bench.take("fifo", limit=2, seconds=5)


def findings(path: Path) -> list[str]:
    return [finding.line() for finding in check(path).findings]


def spoil(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as sql, sql:
        for statement in statements:
            sql.execute(statement)


async def test_a_store_in_use_is_right_whatever_was_done_in_it(
    path: Path, bench: Workbench
) -> None:
    async with bench:
        await fill(bench)
        assert findings(path) == []
        bench.advance(7)
        assert findings(path) == []
        await bench.take(limit=3)
        await bench.take("fifo", limit=3)
        await bench.maintain()
        assert findings(path) == []
        await bench.redrive(queue="dead")
        bench.advance(100)
        await bench.maintain()
        report = check(path)
        counted = [status.counts.total for status, _ in await bench.everything()]
    assert report.findings == []
    assert (report.messages, report.queues) == (sum(counted), 3)


async def test_a_store_that_lacks_what_was_answered_is_found(path: Path, bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
    shutil.copyfile(path, path.with_name("older.db"))
    async with bench:
        await bench.put()
    shutil.copyfile(path.with_name("older.db"), path)
    with pytest.raises(StorageUnreadable) as refused:
        await SQLiteStorage(path).open()
    report = check(path)
    assert [(finding.kind, finding.text) for finding in report.findings] == [
        ("agreement", str(refused.value))
    ]
    assert not report.findings[0].is_repairable
    assert (report.messages, report.queues) == (None, None)


async def test_a_log_of_another_store_is_found(path: Path, tmp_path: Path) -> None:
    async with Life(tmp_path / "other") as life:
        await life.publish(b"not ours")
        life.end(tmp_path / "other.db")
    async with Life(tmp_path / "a") as life:
        life.checkpoint()
        life.end(path)
    shutil.copyfile(tmp_path / "other.db-wal", f"{path}-wal")
    assert f"{path}-wal does not belong to {path}" in "\n".join(findings(path))


async def test_what_a_broker_commits_as_the_check_begins_is_no_finding(
    path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = path.with_name("broker.db.lock")

    def connect(path: Path) -> sqlite3.Connection:
        """Connect, and note a commit that came after the snapshot."""
        noted = read_witness(lock.read_bytes())
        assert noted is not None
        stamp = Stamp(noted.stamp.store, noted.stamp.commits + 1)
        lock.write_bytes(Witness(stamp, "full", "").encode())
        return connect_reader(path)

    async with bench:
        await bench.make_queue()
        with monkeypatch.context() as patched:
            patched.setattr(checking, "connect_reader", connect)
            assert findings(path) == []
        assert "lacks what was answered last" in "".join(findings(path))


@pytest.mark.parametrize("is_remembered", [True, False])
async def test_a_store_without_its_id_is_found(
    path: Path, bench: Workbench, *, is_remembered: bool
) -> None:
    async with bench:
        await bench.make_queue()
    spoil(path, "DELETE FROM store")
    if not is_remembered:
        path.with_name("broker.db.lock").unlink()
    assert "the row of store is missing" in findings(path)


SPOILED = [
    (
        "UPDATE queues SET pending = pending + 2, bytes = 1 WHERE name = 'fifo'",
        [
            "fifo: counter pending is 7, but its messages make 5",
            "fifo: counter bytes is 1, but its messages make 42",
        ],
    ),
    (
        "DELETE FROM messages WHERE status = 'processed'",
        [
            "q: counter processed is 1, but its messages make 0",
            "q: counter bytes is 30, but its messages make 26",
        ],
    ),
    (
        "UPDATE messages SET shelf = 1 WHERE shelf = 4 AND grp = 'a'",
        [
            "q: 1 groups have the wrong message ready, or none",
            "fifo: 1 groups have the wrong message ready, or none",
        ],
    ),
    (
        "UPDATE messages SET shelf = 4 WHERE shelf = 1 AND grp = 'b' AND queue_id = 3",
        ["fifo: 1 groups have the wrong message ready, or none"],
    ),
    (
        "UPDATE messages SET shelf = 1 WHERE shelf = 2 AND grp IS NULL",
        ["q: counter scheduled is 6, but its messages make 3"],
    ),
    (
        "UPDATE messages SET shelf = 0 WHERE status = 'processing'",
        ["fifo: 2 processing messages are on shelf 0"],
    ),
    (
        "UPDATE messages SET shelf = 3 WHERE status = 'processed'",
        ["q: 1 processed messages are on shelf 3"],
    ),
    (
        "UPDATE messages SET rank = priority WHERE status = 'pending' AND queue_id = 3",
        ["fifo: 5 messages have a rank that its ordering does not give them"],
    ),
    (
        "UPDATE sqlite_sequence SET seq = 3 WHERE name = 'messages'",
        ["the next id in messages would be 4, but 20 was given already"],
    ),
    (
        "INSERT INTO dedup VALUES (77, 'k', 1, 1)",
        ["1 dedup keys are of no queue"],
    ),
]


@pytest.mark.parametrize(("statement", "expected"), SPOILED, ids=[row[0] for row in SPOILED])
async def test_a_mistake_in_the_books_is_told_and_mended(
    path: Path, bench: Workbench, statement: str, expected: list[str]
) -> None:
    async with bench:
        await fill(bench)
    spoil(path, statement)
    assert findings(path) == expected
    repaired = await repair(path)
    assert [finding.line() for finding in repaired.repaired] == expected
    assert repaired.findings == []
    assert findings(path) == []


async def test_messages_that_were_lost_from_sight_are_delivered_after_a_repair(
    path: Path, bench: Workbench
) -> None:
    async with bench:
        await bench.make_queue()
        ungrouped, first, second = [await bench.put(group=group) for group in (None, "g", "g")]
        scheduled = await bench.put(delay=10)
    spoil(path, "UPDATE messages SET shelf = 0")
    async with bench:
        assert await bench.take_ids() == []
    await repair(path)
    async with bench:
        assert await bench.take_ids() == [ungrouped, first]
        bench.advance(10)
        assert await bench.take_ids() == [scheduled]
        assert (await bench.get(second)).state == "pending"


async def test_a_store_goes_on_with_fresh_ids_after_a_repair(path: Path, bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        last = await bench.put()
    spoil(path, "DELETE FROM sqlite_sequence")
    assert findings(path) == [
        "the next id in queues would be 1, but 1 was given already",
        "the next id in messages would be 1, but 1 was given already",
    ]
    await repair(path)
    async with bench:
        assert await bench.put() == last + 1


async def test_what_only_a_backup_brings_back_is_left_as_it_is(
    path: Path, bench: Workbench
) -> None:
    async with bench:
        await bench.make_queue()
        await bench.make_queue("lost")
        await bench.put()
        await bench.put(queue="lost")
    spoil(path, "DELETE FROM queues WHERE name = 'lost'", "UPDATE messages SET status = 'odd'")
    expected = [
        "1 messages are in no queue; only a backup brings their queue back",
        'q: 1 messages have the unknown status "odd"; only a backup helps',
        '1 messages have the unknown status "odd"; only a backup helps',
    ]
    assert [line for line in findings(path) if "backup" in line] == expected
    left = (await repair(path)).findings
    assert [finding.line() for finding in left if not finding.is_repairable] == expected
    with closing(connect_reader(path)) as sql:
        assert sql.execute("SELECT count(*) FROM messages").fetchone() == (2,)


async def test_a_policy_that_cannot_be_read_is_told(path: Path, bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
    spoil(path, "UPDATE queues SET policy = '{'")
    [line] = findings(path)
    assert line.startswith("q: its policy cannot be read (")


async def test_damage_is_told_in_the_words_of_sqlite(path: Path, bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put(b"x" * 20_000)
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096)
    report = check(path)
    assert (report.messages, report.queues) == (None, None)
    assert {finding.kind for finding in report.findings} == {"file"}
    with pytest.raises(StorageUnreadable, match="is damaged"):
        await repair(path)


async def test_a_missing_index_is_told(path: Path, bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
    spoil(path, "DROP INDEX messages_ready")
    assert findings(path) == ["messages_ready is missing"]


async def test_an_older_schema_is_told(path: Path, bench: Workbench) -> None:
    async with bench:
        pass
    spoil(path, "PRAGMA user_version = 0")
    newest = read_migrations()[-1].version
    with pytest.raises(StorageUnreadable) as refused:
        check(path)
    assert str(refused.value) == (
        f"{path} has schema version 0, and what is checked has {newest};"
        " start the broker once, which brings it there"
    )


@pytest.mark.parametrize("there", [True, False])
async def test_a_store_that_is_not_there_is_not_made(path: Path, there: bool) -> None:
    log = path.with_name("broker.db-wal")
    log.write_bytes(b"precious")
    if there:
        path.touch()
    for attempt in (lambda: check(path), lambda: repair(path)):
        with pytest.raises(StorageUnreadable, match=r"is empty; restore|is not there; restore"):
            await attempt()
    assert path.exists() == there
    assert log.read_bytes() == b"precious"


async def test_a_store_in_use_is_not_repaired(path: Path, bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        with pytest.raises(StorageLocked):
            await repair(path)


async def test_a_check_sees_one_moment(path: Path, bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        with closing(connect_reader(path)) as sql:
            sql.execute("BEGIN")
            sql.execute("SELECT count(*) FROM messages").fetchone()
            await bench.put_many(10)
            assert find_all(sql) == []
            assert sql.execute("SELECT count(*) FROM messages").fetchone() == (0,)
