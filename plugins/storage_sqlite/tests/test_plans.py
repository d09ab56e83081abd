"""No statement takes longer because a queue is long: the plans of all of them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from broker.testing import Workbench
from broker_storage_sqlite.storage import SQLiteStorage


def storage_of(bench: Workbench) -> SQLiteStorage:
    assert isinstance(bench.storage, SQLiteStorage)
    return bench.storage


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
    with closing(sqlite3.connect(path)) as sql, sql:
        rows = sql.execute("EXPLAIN QUERY PLAN " + statement, parameters).fetchall()
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
            "due._LAPSE_OF_ALL",
            "SEARCH m USING INDEX messages_leased (queue_id=? AND visible_at<?)",
        ),
        (
            "due._SHOW_OF_ALL",
            "SEARCH m USING INDEX messages_scheduled (queue_id=? AND visible_at<?)",
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


def listen_to_reader(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """Return a list that gets what the reader is asked from now on."""
    asked: list[tuple[str, object]] = []
    reader = storage_of(bench)._reader
    fetch = reader.fetch

    async def spy(query: str, parameters: dict[str, object]) -> object:
        asked.append((query, parameters))
        return await fetch(query, parameters)

    monkeypatch.setattr(reader, "fetch", spy)
    return asked


@pytest.mark.parametrize(
    "states", [(), ("pending",), ("scheduled",), ("processing",), ("processed",), ("failed",)]
)
async def test_browsing_a_queue_walks_no_more_than_the_page(
    path: Path, bench: Workbench, states: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench:
        asked = listen_to_reader(bench, monkeypatch)
        await bench.page(queue="q", states=states)
        await bench.storage.get_queues(names=["q"], now=bench.now)
        await bench.storage.get_queues(prefix="q", now=bench.now)
    for query, parameters in asked:
        steps = plan(path, query, parameters)
        assert [step for step in steps if step.startswith(("SCAN messages", "SCAN m "))] == []


@pytest.mark.parametrize("states", [("processed",), ("failed",), ("processed", "failed")])
async def test_a_purge_by_age_goes_straight_to_what_is_old(
    path: Path, bench: Workbench, states: tuple[str, ...]
) -> None:
    statements: list[str] = []
    async with bench:
        await bench.make_queue()
        await storage_of(bench)._writer.run(lambda tx: tx.sql.set_trace_callback(statements.append))
        await bench.delete(queue="q", states=states, finished_before=bench.now)
    [statement] = [statement for statement in statements if "finished_at <" in statement]
    searches = [step for step in plan(path, statement) if "INDEX messages_" in step]
    assert searches == [
        "SEARCH messages USING COVERING INDEX messages_finished_at"
        " (queue_id=? AND status=? AND finished_at<?)"
    ] * len(states)


async def test_what_a_search_found_is_read_by_its_ids_alone(
    path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench:
        asked = listen_to_reader(bench, monkeypatch)
        await bench.make_queue()
        await bench.put(b"apple")
        await bench.page(queue="q", states=("pending", "failed"), text="apple")
    steps = plan(path, *asked[-1])
    assert [step for step in steps if "INDEX messages_" in step or "SCAN messages" in step] == []
