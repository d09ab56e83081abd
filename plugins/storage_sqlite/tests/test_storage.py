"""What this storage promises beyond the contract: on disk, in time, without room."""

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from broker import Closed, MessageQuery, QueueFull, StorageFull, Unavailable
from broker.testing import Workbench
from broker_storage_sqlite import room
from broker_storage_sqlite.storage import SQLiteStorage


def storage_of(bench: Workbench) -> SQLiteStorage:
    assert isinstance(bench.storage, SQLiteStorage)
    return bench.storage


async def run_sql(bench: Workbench, statement: str) -> list[tuple[object, ...]]:
    """Run a statement on the writing connection."""
    return await storage_of(bench)._writer.run(lambda tx: tx.execute(statement).fetchall())


# On disk


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
    with sqlite3.connect(path) as sql:
        for table in ("queues", "messages", "dedup"):
            assert sql.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    sql.close()


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


# Time: what is due is noticed in pieces, and read right before it is noticed


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
        first_at = bench.now
        bench.advance(1)
        await bench.put(b"second", group="g", delay=1)
        await bench.take(seconds=10)
        bench.advance(1)
        assert (await bench.status()).oldest_at is None  # behind a lease
        bench.advance(9)
        assert (await bench.status()).oldest_at == first_at


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


# Plans


async def test_no_statement_of_the_writer_walks_all_messages(path: Path, bench: Workbench) -> None:
    statements: list[str] = []
    async with bench:
        await storage_of(bench)._writer.run(lambda tx: tx.sql.set_trace_callback(statements.append))
        await everything(bench)
    plans = {statement: plan(path, statement) for statement in statements if is_query(statement)}
    assert len(plans) > 50
    walks = {
        statement: steps
        for statement, steps in plans.items()
        if any(step.startswith(("SCAN messages", "SCAN m", "SCAN dedup")) for step in steps)
    }
    assert walks == {}


async def everything(bench: Workbench) -> None:
    """Do everything that a storage can do, with all kinds of messages and policies."""
    await bench.make_queue("dead")
    limits = {"max_messages": 8, "max_bytes": 1000, "overflow": "drop_oldest"}
    await bench.make_queue(**limits, dead_letter_queue="dead", max_in_flight=20)
    for group in (None, None, None, "a", "a", "b", "b", "c", "d", "d"):
        await bench.put(group=group, dedup_key=f"{group}")
    await bench.put_many(5, delay=10, ttl=5)
    leases = await bench.take(limit=20, seconds=5)
    kinds = ["ack", "retry", "release", "reject", "extend"] * 2
    for lease, kind in zip(leases, kinds, strict=False):
        await bench.do(lease, kind)
    await bench.make_queue(ordering="group_fifo", max_deliveries=1)
    bench.advance(5)
    await bench.maintain()
    await bench.take(limit=20, seconds=5)
    bench.advance(100)
    await bench.take(limit=20)
    for states in ((), *((state,) for state in ("pending", "scheduled", "processing"))):
        await bench.redrive(queue="q", states=states)
        await bench.delete(queue="q", states=states, limit=1)
    await bench.redrive(queue="dead", states=("failed",))
    await bench.delete(ids=(1, 2, 3))
    bench.advance(10_000_000)
    await bench.maintain()
    await bench.storage.drop_queue("q")


def is_query(statement: str) -> bool:
    return statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE"))


def plan(path: Path, statement: str, parameters: object = ()) -> list[str]:
    with sqlite3.connect(path) as sql:
        rows = sql.execute("EXPLAIN QUERY PLAN " + statement, parameters).fetchall()
    sql.close()
    return [row[3] for row in rows]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("lease._READY", "SEARCH messages USING INDEX messages_ready (queue_id=?)"),
        (
            "due._LAPSE_OF_QUEUE",
            "SEARCH messages USING INDEX messages_leased (queue_id=? AND visible_at<?)",
        ),
        (
            "due._SHOW_OF_QUEUE",
            "SEARCH messages USING INDEX messages_scheduled (queue_id=? AND visible_at<?)",
        ),
        (
            "groups._FIRST_BY_SHELF",
            "SEARCH messages USING COVERING INDEX messages_group"
            " (queue_id=? AND grp=? AND shelf=?)",
        ),
        (
            "maintain._EXPIRED",
            "SEARCH m USING INDEX messages_expires_at (queue_id=? AND expires_at<?)",
        ),
        (
            "maintain._EXHAUSTED",
            "SEARCH m USING INDEX messages_lapsed (queue_id=? AND delivery_count>?)",
        ),
    ],
)
async def test_each_partial_index_serves_what_it_was_made_for(
    path: Path, bench: Workbench, name: str, index: str
) -> None:
    async with bench:
        pass
    module, constant = name.split(".")
    package = __import__(f"broker_storage_sqlite.{module}", fromlist=[constant])
    statement = getattr(package, constant)
    steps = plan(path, statement.replace("?", "1"), dict.fromkeys(PARAMETERS, 1))
    assert index in steps
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


PARAMETERS = ("queue_id", "now", "limit", "lease_until", "owner", "grp")


@pytest.mark.parametrize(
    "states", [(), ("pending",), ("scheduled",), ("processing",), ("processed",), ("failed",)]
)
async def test_browsing_a_queue_walks_no_more_than_the_page(
    path: Path, bench: Workbench, states: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, object]] = []
    async with bench:
        reader = storage_of(bench)._reader
        fetch = reader.fetch

        async def spy(query: str, parameters: dict[str, object]) -> object:
            asked.append((query, parameters))
            return await fetch(query, parameters)

        monkeypatch.setattr(reader, "fetch", spy)
        await bench.page(queue="q", states=states)
        await bench.storage.get_queues(names=["q"], now=bench.now)
        await bench.storage.get_queues(prefix="q", now=bench.now)
    for query, parameters in asked:
        steps = plan(path, query, parameters)
        assert [step for step in steps if step.startswith(("SCAN messages", "SCAN m "))] == []


# Room


async def test_a_full_file_refuses_publishing_and_still_leases_and_settles(
    bench: Workbench,
) -> None:
    async with bench:
        await bench.make_queue(retain_processed=0)
        for _ in range(20):
            await bench.put(bytes(100_000))
        [[pages]] = await run_sql(bench, "PRAGMA page_count")
        await run_sql(bench, f"PRAGMA max_page_count = {pages + 30}")
        with pytest.raises(StorageFull, match="there is no room left for .*broker.db; nothing was"):
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
    path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put(b"before")
        leave_on_disk(monkeypatch, room.RESERVE_BYTES + 2000)
        await bench.put(bytes(1000))
        with pytest.raises(StorageFull) as refused:
            await bench.put(bytes(1001))
        assert str(refused.value) == f"there is no room left for {path}; nothing was stored"
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


async def test_a_full_queue_counts_lapses_that_nobody_noticed(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue(max_messages=1)
        await bench.put()
        await bench.take(seconds=5)
        bench.advance(5)
        with pytest.raises(QueueFull):
            await bench.put()


# Looks


async def test_a_look_that_is_cut_short_leaves_the_reader_usable(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put()
        for turns in range(12):
            look = asyncio.ensure_future(bench.browse())
            for _ in range(turns):
                await asyncio.sleep(0)
            look.cancel()
            await asyncio.gather(look, return_exceptions=True)
            assert len(await bench.browse()) == 1
        await bench.put()
        assert len(await bench.browse()) == 2  # and sees what was written since


async def test_a_look_sees_what_was_answered_before_it(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        for number in range(1, 50):
            await bench.put()
            assert (await bench.counts()).pending == number


async def test_closing_waits_for_a_look(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put()
        look = asyncio.ensure_future(bench.browse())
        await asyncio.sleep(0)
        await bench.storage.close()
        assert len(await look) == 1
        with pytest.raises(Closed):
            await bench.browse()


async def test_the_reader_cannot_write(bench: Workbench) -> None:
    async with bench:
        reader = storage_of(bench)._reader
        with pytest.raises(Unavailable, match="readonly database"):
            await reader.fetch("DELETE FROM queues", {})


async def test_a_search_goes_on_over_many_bodies(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        ids = []
        for start in range(3):
            ids += await bench.put_many(600 + start)
        page = await bench.page(queue="q", text="599", limit=2)
        assert [message.id for message in page.messages] == [ids[599], ids[1199]]
        assert page.after == ids[1199]
        page = await bench.page(queue="q", text="599", limit=2, after=page.after)
        assert ([message.id for message in page.messages], page.after) == ([ids[1800]], None)


async def test_looks_go_on_when_nothing_can_be_written_any_more(bench: Workbench) -> None:
    def break_down(_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        raise error

    async with bench:
        await bench.make_queue()
        await bench.put()
        await bench.storage.ping()
        with pytest.raises(Unavailable):
            await storage_of(bench)._writer.run(break_down)
        with pytest.raises(Unavailable, match="restart the broker"):
            await bench.storage.ping()
        with pytest.raises(Unavailable):
            await bench.put()
        query = MessageQuery(queue="q")
        assert len((await bench.storage.browse(query, now=bench.now)).messages) == 1
