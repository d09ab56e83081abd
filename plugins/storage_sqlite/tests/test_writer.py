"""Group commit: many operations in one transaction, and whoever fails fails alone."""

import asyncio
import logging
import sqlite3
import threading
from functools import partial
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from broker import Closed, QueueSpec, StorageFailed, StorageFull, Unavailable
from broker_storage_sqlite.connections import connect_writer
from broker_storage_sqlite.opening import prepare_file
from broker_storage_sqlite.schema import read_migrations
from broker_storage_sqlite.storage import SQLiteStorage
from broker_storage_sqlite.transaction import Transaction, Undone
from broker_storage_sqlite.writer import Writer

LOGGER = logging.getLogger("broker.plugins.storage_sqlite")


class Desk:
    """A writer on a new file, the statements that it ran, and a gate to hold it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.statements: list[str] = []
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.writer = Writer(path, self._connect, LOGGER)

    def _connect(self) -> sqlite3.Connection:
        sql = connect_writer(self.path, "full")
        sql.set_trace_callback(self.statements.append)
        return sql

    async def __aenter__(self) -> "Desk":
        await prepare_file(self.path, read_migrations())
        await self.writer.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.gate.set()
        await self.writer.close()

    def hold(self, tx: Transaction) -> None:
        self.entered.set()
        assert self.gate.wait(30)

    async def together(self, *operations: object) -> list[object]:
        """Run operations that all wait while the writer is held."""
        holder = asyncio.ensure_future(self.writer.run(self.hold))
        await asyncio.to_thread(self.entered.wait, 30)
        tasks = [asyncio.ensure_future(self.writer.run(operation)) for operation in operations]
        await asyncio.sleep(0)
        self.gate.set()
        await holder
        return await asyncio.gather(*tasks, return_exceptions=True)

    def names(self) -> list[str]:
        with closing(sqlite3.connect(self.path)) as sql, sql:
            return [name for [name] in sql.execute("SELECT name FROM queues ORDER BY id")]


@pytest.fixture
def desk(path: Path) -> Desk:
    return Desk(path)


def add(name: str, tx: Transaction) -> str:
    tx.execute(
        "INSERT INTO queues (name, created_at, updated_at, version, policy)"
        " VALUES (?, 0, 0, 1, '{}')",
        (name,),
    )
    return name


def add_and_raise(name: str, error: Exception, tx: Transaction) -> None:
    add(name, tx)
    raise error


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("as the disk would")
    error.sqlite_errorcode = code
    error.sqlite_errorname = {
        getattr(sqlite3, name): name for name in dir(sqlite3) if name.startswith("SQLITE_")
    }[code]
    return error


async def test_what_waits_together_is_committed_together(desk: Desk) -> None:
    async with desk:
        results = await desk.together(*(partial(add, name) for name in "abcde"))
        assert results == list("abcde")
        assert desk.statements.count("BEGIN IMMEDIATE") == 2  # the holder, then all the others
        assert desk.statements.count("COMMIT") == 2


async def test_operations_are_carried_out_in_the_order_of_their_coming(desk: Desk) -> None:
    async with desk:
        await desk.together(*(partial(add, f"q{number}") for number in range(300)))
        assert desk.names() == [f"q{number}" for number in range(300)]
        assert desk.statements.count("COMMIT") == 3  # 1, 256, 44


async def test_a_transaction_is_not_joined_once_its_bodies_are_many_bytes(desk: Desk) -> None:
    async with desk:
        holder = asyncio.ensure_future(desk.writer.run(desk.hold))
        await asyncio.to_thread(desk.entered.wait, 30)
        tasks = [
            asyncio.ensure_future(desk.writer.run(partial(add, name), size=5 * 1024 * 1024))
            for name in "abc"
        ]
        await asyncio.sleep(0)
        desk.gate.set()
        await asyncio.gather(holder, *tasks)
        assert desk.statements.count("COMMIT") == 3  # the holder, a and b, c


async def test_an_operation_that_fails_is_undone_alone(desk: Desk) -> None:
    async with desk:
        error = ValueError("no")
        results = await desk.together(
            partial(add, "a"), partial(add_and_raise, "b", error), partial(add, "c")
        )
        assert results == ["a", error, "c"]
        assert desk.names() == ["a", "c"]


async def test_the_counters_of_an_operation_that_fails_are_undone_with_it(desk: Desk) -> None:
    def count(tx: Transaction) -> None:
        tx.counters.add(1, pending=1)

    def count_and_raise(tx: Transaction) -> None:
        tx.counters.add(1, pending=10)
        raise ValueError

    async with desk:
        await desk.writer.run(partial(add, "a"))
        await desk.together(count, count_and_raise, count)
        assert await desk.writer.run(lambda tx: tx.counter(1, "pending")) == 2


async def test_an_operation_that_fails_alone_is_undone(desk: Desk) -> None:
    async with desk:
        with pytest.raises(ValueError, match="no"):
            await desk.writer.run(partial(add_and_raise, "a", ValueError("no")))
        assert desk.names() == []
        assert "COMMIT" not in desk.statements


@pytest.mark.parametrize("companions", [0, 2])
async def test_an_operation_may_answer_and_leave_no_trace(desk: Desk, companions: int) -> None:
    async with desk:
        others = [partial(add, str(number)) for number in range(companions)]
        results = await desk.together(*others, partial(add_and_raise, "a", Undone("answer")))
        assert results[-1] == "answer"
        assert desk.names() == [str(number) for number in range(companions)]


async def test_what_a_failed_operation_knew_of_queues_is_forgotten(desk: Desk) -> None:
    def make_and_raise(tx: Transaction) -> None:
        add("a", tx)
        assert tx.execute("UPDATE queues SET policy = '{}'").rowcount == 1
        assert tx.find_queue("a") is not None
        raise ValueError

    async with desk:
        results = await desk.together(make_and_raise, lambda tx: tx.find_queue("a"))
        assert results[1] is None


async def test_a_commit_that_fails_is_made_again_for_each_operation_by_itself(
    desk: Desk,
) -> None:
    def orphan(tx: Transaction) -> None:
        tx.execute("PRAGMA defer_foreign_keys = ON")
        tx.execute("INSERT INTO dedup VALUES (99, 'key', 1, 1)")

    async with desk:
        results = await desk.together(partial(add, "a"), orphan)
        assert [type(result) for result in results] == [str, sqlite3.IntegrityError]
        assert await desk.writer.run(partial(add, "b")) == "b"
        assert desk.names() == ["a", "b"]


async def test_an_operation_that_fills_the_disk_does_not_take_the_others_with_it(
    desk: Desk,
) -> None:
    def limit(tx: Transaction) -> None:
        [pages] = tx.execute("PRAGMA page_count").fetchone()
        tx.execute(f"PRAGMA max_page_count = {pages + 2}")

    async with desk:
        await desk.writer.run(limit)
        results = await desk.together(
            partial(add, "a"), partial(add, "b" * 100_000), partial(add, "c")
        )
        assert results[0] == "a"
        assert isinstance(results[1], StorageFull)
        said = "the disk that holds the messages has no room; nothing was stored"
        assert str(results[1]) == said
        assert results[2] == "c"
        assert desk.names() == ["a", "c"]


async def test_after_an_error_of_the_disk_nothing_is_written_any_more(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk:
        error = sqlite_error(sqlite3.SQLITE_IOERR_FSYNC)
        results = await desk.together(partial(add, "a"), partial(add_and_raise, "b", error))
        with pytest.raises(StorageFailed) as refused:
            await desk.writer.run(partial(add, "c"))
        for result in [*results, refused.value]:
            assert isinstance(result, StorageFailed)
            assert (result.problem, result.__cause__) == (
                f"{desk.path} is not written any more (as the disk would, SQLITE_IOERR_FSYNC):"
                " see that its disk works, and start the broker again",
                error,
            )
        assert desk.names() == []


async def test_a_bug_in_the_writer_leaves_nobody_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(*_: object) -> None:
        raise RuntimeError("a bug")

    async with desk:
        monkeypatch.setattr("broker_storage_sqlite.writer.carry_out", stumble)
        for _ in range(2):
            with pytest.raises(StorageFailed, match="^the storage failed; the broker stops$"):
                await desk.writer.run(partial(add, "a"))
    [record] = caplog.records
    assert record.getMessage() == f"a bug in the writer of {desk.path}"
    assert "RuntimeError: a bug" in caplog.text


async def test_a_busy_file_is_unavailable_now_and_works_later(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk:
        error = sqlite_error(sqlite3.SQLITE_BUSY)
        with pytest.raises(Unavailable) as refused:
            await desk.writer.run(partial(add_and_raise, "a", error))
        said = "the storage cannot be used now; try again later"
        assert (str(refused.value), refused.value.__cause__) == (said, error)
        told = [(record.levelname, record.getMessage()) for record in caplog.records]
        assert told == [("WARNING", f"an operation on {desk.path} failed: as the disk would")]
        assert await desk.writer.run(partial(add, "b")) == "b"


async def test_a_transaction_that_changes_nothing_writes_nothing(desk: Desk) -> None:
    log = desk.path.with_name("broker.db-wal")
    async with desk:
        await desk.writer.run(partial(add, "a"))
        before = log.stat()
        assert await desk.writer.run(lambda tx: tx.find_queue("b")) is None
        after = log.stat()
        assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


async def test_closing_finishes_what_waits(desk: Desk) -> None:
    async with desk:
        holder = asyncio.ensure_future(desk.writer.run(desk.hold))
        await asyncio.to_thread(desk.entered.wait, 30)
        tasks = [asyncio.ensure_future(desk.writer.run(partial(add, name))) for name in "ab"]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(desk.writer.close())
        await asyncio.sleep(0)
        with pytest.raises(Closed):
            await desk.writer.run(partial(add, "late"))
        desk.gate.set()
        assert await asyncio.gather(*tasks) == ["a", "b"]
        await asyncio.gather(holder, closing)
    assert desk.names() == ["a", "b"]


async def test_closing_empties_the_log_and_ends_the_thread(desk: Desk) -> None:
    async with desk:
        await desk.writer.run(partial(add, "a"))
        assert "storage_sqlite" in [thread.name for thread in threading.enumerate()]
    assert "storage_sqlite" not in [thread.name for thread in threading.enumerate()]
    assert not desk.path.with_name("broker.db-wal").exists()


async def test_closing_empties_the_log_also_while_somebody_else_has_the_file_open(
    desk: Desk,
) -> None:
    async with desk:
        await desk.writer.run(partial(add, "a"))
        other = sqlite3.connect(desk.path)
        other.execute("SELECT * FROM queues").fetchall()
    assert desk.path.with_name("broker.db-wal").stat().st_size == 0
    other.close()


async def test_a_log_that_cannot_be_emptied_is_told(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker_storage_sqlite.connections._BUSY_TIMEOUT_S", 0.0)
    async with desk:
        await desk.writer.run(partial(add, "a"))
        other = sqlite3.connect(desk.path, isolation_level=None)
        other.execute("BEGIN")
        other.execute("SELECT * FROM queues").fetchall()
    assert [record.getMessage() for record in caplog.records] == [
        f"{desk.path}-wal is in use elsewhere and stays"
    ]
    other.close()


async def test_a_writer_that_cannot_connect_ends_its_thread(path: Path) -> None:
    writer = Writer(path, partial(connect_writer, path, "full"), LOGGER)
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        await writer.open()
    await writer.close()
    assert "storage_sqlite" not in [thread.name for thread in threading.enumerate()]


async def test_a_writer_on_a_strange_schema_ends_its_thread(path: Path) -> None:
    sqlite3.connect(path).close()
    path.touch()
    writer = Writer(path, partial(connect_writer, path, "full"), LOGGER)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await writer.open()
    await writer.close()
    assert "storage_sqlite" not in [thread.name for thread in threading.enumerate()]


async def test_an_operation_that_was_cancelled_before_it_began_is_not_done(desk: Desk) -> None:
    async with desk:
        holder = asyncio.ensure_future(desk.writer.run(desk.hold))
        await asyncio.to_thread(desk.entered.wait, 30)
        cancelled = asyncio.ensure_future(desk.writer.run(partial(add, "a")))
        other = asyncio.ensure_future(desk.writer.run(partial(add, "b")))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0)
        desk.gate.set()
        await holder
        assert await other == "b"
        assert cancelled.cancelled()
        assert desk.names() == ["b"]


async def test_an_operation_that_is_cancelled_while_it_runs_is_done(desk: Desk) -> None:
    def add_slowly(tx: Transaction) -> None:
        add("a", tx)
        desk.hold(tx)

    async with desk:
        task = asyncio.ensure_future(desk.writer.run(add_slowly))
        await asyncio.to_thread(desk.entered.wait, 30)
        task.cancel()
        desk.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await desk.writer.run(partial(add, "b")) == "b"
        assert desk.names() == ["a", "b"]


@pytest.mark.parametrize(
    "error",
    [
        sqlite_error(sqlite3.SQLITE_CORRUPT),
        sqlite3.OperationalError("Could not decode to UTF-8 column 'reason'"),
        msgspec.DecodeError("JSON is malformed"),
    ],
    ids=["a page", "a text", "a policy"],
)
async def test_damage_that_is_met_ends_it_with_a_remedy_of_its_own(
    desk: Desk, error: Exception
) -> None:
    async with desk:
        with pytest.raises(StorageFailed) as refused:
            await desk.writer.run(partial(add_and_raise, "a", error))
    assert refused.value.problem.startswith(f"{desk.path} is not written any more ({error}, ")
    assert refused.value.problem.endswith("): it is damaged, so restore a backup")


async def test_nothing_is_copied_into_the_file_after_an_error_of_the_disk(path: Path) -> None:
    storage = SQLiteStorage(path)
    log = path.with_name("broker.db-wal")
    error = sqlite_error(sqlite3.SQLITE_IOERR_FSYNC)
    await storage.open()
    await storage.put_queue(QueueSpec("q"), expect=None, now=0)
    before = path.read_bytes(), log.read_bytes()
    with pytest.raises(StorageFailed):
        await storage._writer.run(partial(add_and_raise, "a", error))
    await storage.close()
    assert (path.read_bytes(), log.read_bytes()) == before
    await storage.open()
    assert [status.queue.name for status in await storage.get_queues(now=0)] == ["q"]
    await storage.close()
    assert not log.exists()
