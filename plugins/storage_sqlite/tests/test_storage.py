"""What this storage promises beyond the contract: on disk, and in time."""

import asyncio
import sqlite3
import threading
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from broker import QueueFull, QueuePolicy, QueueSpec, StorageLocked, Unavailable
from broker.testing import ManualClock, Workbench
from broker_storage_sqlite.queues import put_queue
from broker_storage_sqlite.storage import SQLiteStorage
from broker_storage_sqlite.transaction import Transaction

MEBIBYTE = 1024 * 1024


def storage_of(bench: Workbench) -> SQLiteStorage:
    assert isinstance(bench.storage, SQLiteStorage)
    return bench.storage


async def run_sql(bench: Workbench, statement: str) -> list[tuple[object, ...]]:
    """Run a statement on the writing connection."""
    return await storage_of(bench)._writer.run(lambda tx: tx.execute(statement).fetchall())


async def test_everything_is_there_after_reopening(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue("dead")
        await bench.make_queue(dead_letter_queue="dead")
        await bench.put(b"acked", priority=9)
        await bench.ack(await bench.take_one())
        await bench.put(b"dead")
        await bench.do(await bench.take_one(), "reject", reason="bad")
        await bench.put(b"leased")
        await bench.take_one()
        await bench.put(b"first", group="g", headers={"a": "b"})
        await bench.put(b"second", group="g", dedup_key="k", delay=5, ttl=50)
        before = await bench.storage.get_queues(now=bench.now)
        messages = [await bench.browse("q"), await bench.browse("dead")]
        await bench.reopen()
        assert await bench.storage.get_queues(now=bench.now) == before
        assert [await bench.browse("q"), await bench.browse("dead")] == messages


async def test_a_ping_writes_to_the_disk_and_changes_nothing(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put()
        before, log = await bench.everything(), storage_of(bench)._path.with_name("broker.db-wal")
        size = log.stat().st_size
        await bench.storage.ping()
        assert await bench.everything() == before
        assert log.stat().st_size > size


async def test_a_ping_fails_while_nothing_can_be_written(bench: Workbench) -> None:
    async with bench:
        await run_sql(bench, "PRAGMA query_only = ON")
        with pytest.raises(Unavailable):
            await bench.storage.ping()


async def test_a_lease_survives_reopening(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one(seconds=30)
        await bench.reopen()
        assert await bench.take() == []
        assert (await bench.ack(lease)).outcome == "ok"


async def test_the_id_of_a_removed_message_is_not_used_again_after_reopening(
    bench: Workbench,
) -> None:
    async with bench:
        await bench.make_queue()
        ids = await bench.put_many(3)
        await bench.delete(ids=tuple(ids))
        await bench.reopen()
        assert await bench.put() == ids[-1] + 1


async def test_the_id_of_a_dropped_queue_is_not_used_again_after_reopening(
    bench: Workbench,
) -> None:
    async with bench:
        first = await bench.make_queue()
        await bench.storage.drop_queue("q")
        await bench.reopen()
        assert (await bench.make_queue()).id == first.id + 1


async def test_dropping_a_queue_leaves_no_row_behind(path: Path, bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put(dedup_key="k")
        await bench.storage.drop_queue("q")
    with closing(sqlite3.connect(path)) as sql, sql:
        for table in ("queues", "messages", "dedup"):
            assert sql.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_a_dedup_key_past_its_time_leaves_no_row_behind(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue(dedup_window=5)
        await bench.put_many(0)
        for key in "abc":
            await bench.put(dedup_key=key)
        bench.advance(5)
        assert (await bench.maintain(limit=2)).next_due == bench.now
        assert (await bench.maintain(limit=2)).next_due is None
        assert await run_sql(bench, "SELECT count(*) FROM dedup") == [(0,)]


async def test_maintenance_gives_much_free_space_back_to_the_disk(
    path: Path, bench: Workbench
) -> None:
    async with bench:
        await bench.make_queue()
        for _ in range(12):
            await bench.put(bytes(1024 * 1024))
        await bench.reopen()  # moves the log into the file
        full_size = path.stat().st_size
        await bench.delete(queue="q")
        for _ in range(10):
            await bench.maintain()
        await bench.reopen()
        assert path.stat().st_size == full_size - 500 * 4096  # what is left is a reserve


async def test_counts_are_right_before_anybody_noticed_what_is_due(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put(b"scheduled", delay=10)
        await bench.put(b"leased")
        await bench.take(seconds=10)
        bench.advance(10)
        counts = await bench.counts()
        assert (counts.pending, counts.scheduled, counts.processing) == (2, 0, 0)
        stored = await run_sql(bench, "SELECT pending, scheduled, processing FROM queues")
        assert stored == [(1, 1, 1)]


async def test_oldest_at_is_right_before_anybody_noticed_that_a_group_is_free(
    bench: Workbench,
) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put(b"head", group="g")
        bench.advance(1)
        await bench.put(b"second", group="g", delay=1)
        await bench.take(seconds=10)
        bench.advance(1)
        assert (await bench.status()).oldest_at is None  # behind a lease
        bench.advance(9)
        assert (await bench.status()).oldest_at == bench.now  # when its lease was over


@pytest.mark.parametrize("first_touch", ["ack", "delete", "redrive", "drop", "maintain"])
async def test_a_lapse_is_counted_once_whoever_comes_across_it_first(
    bench: Workbench, first_touch: str
) -> None:
    async with bench:
        await bench.make_queue("origin", dead_letter_queue="q", max_deliveries=1)
        await bench.make_queue(max_messages=1, overflow="drop_oldest")
        await bench.put(queue="origin")
        await bench.do(await bench.take_one("origin"), "reject")
        lease = await bench.take_one(seconds=5)
        bench.advance(5)
        if first_touch == "ack":
            await bench.ack(lease)
        elif first_touch == "delete":
            await bench.delete(queue="q", states=("pending",))
        elif first_touch == "redrive":
            await bench.redrive(queue="q")
        elif first_touch == "drop":
            await bench.put()
        await bench.maintain()
        assert (await bench.totals()).lapsed == 1


async def test_oldest_at_looks_past_what_is_due_behind_a_head_that_is_not(
    bench: Workbench,
) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put(b"head", group="g", delay=100)
        await bench.put(b"second", group="g", delay=1)
        bench.advance(1)
        assert (await bench.status()).oldest_at is None


async def test_a_lease_with_more_due_than_it_may_look_at_comes_back_for_more(
    bench: Workbench,
) -> None:
    async with bench:
        await bench.make_queue(max_deliveries=1)
        for _ in range(3):
            await bench.put_many(1000, ttl=5)
        last = await bench.put(b"good")
        bench.advance(5)
        found: list[int] = []
        calls = 0
        while not found:
            result = await bench.lease(limit=1)
            found = [lease.message.id for lease in result.leases]
            calls += 1
            assert found or result.next_visible_at == bench.now
        assert found == [last]
        assert calls > 1
        assert (await bench.totals()).expired == 3000


async def test_many_that_fall_due_at_once_do_not_all_move_in_one_lease(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        ids = []
        for _ in range(3):
            ids += await bench.put_many(1000, delay=10)
        bench.advance(10)
        assert await bench.take_ids(limit=5) == ids[:5]
        [[scheduled]] = await run_sql(bench, "SELECT scheduled FROM queues")
        assert scheduled == 2000
        assert (await bench.counts()).scheduled == 0
        await bench.maintain(limit=10_000)
        assert await run_sql(bench, "SELECT scheduled FROM queues") == [(0,)]


@pytest.mark.parametrize("look", ["lease", "browse", "search"])
async def test_bodies_beyond_the_budget_of_an_answer_are_never_held(
    bench: Workbench, look: str
) -> None:
    async with bench:
        await bench.make_queue()
        for _ in range(6):
            await bench.put(b"apple" + bytes(9 * MEBIBYTE))
        tracemalloc.start()
        try:
            if look == "lease":
                found = len(await bench.take())
            else:
                found = len(await bench.browse(text="apple" if look == "search" else None))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert found == 2
        assert peak < 20 * MEBIBYTE


def test_the_lock_is_kept_while_the_writer_outlives_the_loop(path: Path) -> None:
    entered, gate = threading.Event(), threading.Event()
    storage = SQLiteStorage(path)

    def write_slowly(tx: Transaction) -> None:
        entered.set()
        assert gate.wait(30)
        put_queue(tx, QueueSpec("q", QueuePolicy()), expect=None, now=0)

    async def end_while_closing() -> threading.Thread:
        await storage.open()
        asyncio.ensure_future(storage._writer.run(write_slowly))
        await asyncio.to_thread(entered.wait, 30)
        asyncio.ensure_future(storage.close())
        while storage._writer._is_open:
            await asyncio.sleep(0)
        [writer] = [thread for thread in threading.enumerate() if thread.name == "storage_sqlite"]
        return writer  # and the loop cancels what is left

    async def names() -> list[str]:
        async with Workbench(lambda: SQLiteStorage(path), ManualClock()) as bench:
            return [status.queue.name for status in await bench.storage.get_queues(now=0)]

    writer = asyncio.run(end_while_closing())
    try:
        with pytest.raises(StorageLocked):
            asyncio.run(names())
    finally:
        gate.set()
        writer.join()
    assert asyncio.run(names()) == ["q"]


async def test_a_full_queue_counts_lapses_that_nobody_noticed(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue(max_messages=1)
        await bench.put()
        await bench.take(seconds=5)
        bench.advance(5)
        with pytest.raises(QueueFull):
            await bench.put()
