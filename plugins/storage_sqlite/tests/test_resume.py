"""Steps of the system clock between two runs: nothing is lost, and no lease lasts for a day."""

from pathlib import Path

import pytest

from broker import Lease
from broker.testing import ManualClock, Workbench
from broker_storage_sqlite.storage import SQLiteStorage

HOUR = 3600
DAY = 24 * HOUR
START = 1_700_000_000_000


async def fill(path: Path) -> Lease:
    """Leave three messages in a file: one leased for 30 s, one pending, one delayed by 60 s."""
    async with Workbench(lambda: SQLiteStorage(path), ManualClock(START)) as bench:
        await bench.make_queue()
        await bench.put(b"leased")
        lease = await bench.take_one()
        await bench.put(b"pending")
        await bench.put(b"delayed", delay=60)
    return lease


def after_a_step(path: Path, seconds: int) -> Workbench:
    return Workbench(lambda: SQLiteStorage(path), ManualClock(START + 1000 * seconds))


async def maintain(bench: Workbench) -> None:
    await bench.storage.maintain(now=bench.now, limit=100)


@pytest.mark.parametrize("step", [HOUR, -HOUR, -DAY])
async def test_after_a_step_of_the_clock_everything_is_delivered(path: Path, step: int) -> None:
    await fill(path)
    async with after_a_step(path, step) as bench:
        await maintain(bench)
        bodies = [lease.message.body for lease in await bench.take(seconds=2 * DAY)]
        bench.advance(30)
        bodies += [lease.message.body for lease in await bench.take(seconds=2 * DAY)]
        bench.advance(max(0, -step) + 30)
        bodies += [lease.message.body for lease in await bench.take(seconds=2 * DAY)]
    assert sorted(bodies) == [b"delayed", b"leased", b"pending"]


@pytest.mark.parametrize("step", [-HOUR, -DAY])
async def test_a_lease_from_the_future_begins_anew_and_ends(path: Path, step: int) -> None:
    lease = await fill(path)
    async with after_a_step(path, step) as bench:
        await maintain(bench)
        bench.advance(29)
        assert [found.message.body for found in await bench.take(limit=1)] == [b"pending"]
        bench.advance(1)
        assert (await bench.take_one()).message.id == lease.message.id


async def test_its_consumer_may_still_settle_it(path: Path) -> None:
    lease = await fill(path)
    async with after_a_step(path, -DAY) as bench:
        await maintain(bench)
        [extended] = await bench.settle(bench.op(lease, "extend", seconds=60))
        assert (extended.outcome, extended.visible_at) == ("ok", bench.now + 60_000)
        assert (await bench.ack(lease)).outcome == "ok"


async def test_upkeep_later_on_leaves_leases_alone(path: Path) -> None:
    async with after_a_step(path, 0) as bench:
        await bench.make_queue()
        await bench.put()
        await maintain(bench)
        lease = await bench.take_one()
        await bench.storage.maintain(now=bench.now - 1000, limit=100)
        [message] = await bench.browse()
        assert message.visible_at == lease.message.visible_at


async def test_a_start_without_a_step_leaves_leases_alone(path: Path) -> None:
    lease = await fill(path)
    async with after_a_step(path, 10) as bench:
        await maintain(bench)
        [message] = await bench.browse(ids=(lease.message.id,))
    assert message.visible_at == lease.message.visible_at
