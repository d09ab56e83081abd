"""What a storage does when it is killed: how the store came to be, and what is done to it then.

An act yields after each operation that is answered. It does the same every time, so the store
before it and after each operation is known, and a crash must leave one of these.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from broker_storage_sqlite.opening import prepare_file
from broker_storage_sqlite.schema import Migration
from broker_storage_sqlite.storage import SQLiteStorage
from crash.doom import Steps

from broker import Settle
from broker.testing import ManualClock, Workbench

COUNT = 300
PAGES = 1000
"""In a log that SQLite writes into the database by itself."""


async def _nothing(_: Workbench) -> None:
    pass


@dataclass(frozen=True)
class Scenario:
    """A store, and what is done to it once it is open; `warm_up` is done before, unwatched."""

    prepare: Callable[[Workbench], Awaitable[object]]
    act: Callable[[Workbench], AsyncIterator[None]]
    warm_up: Callable[[Workbench], Awaitable[object]] = _nothing


def make_bench(path: Path) -> Workbench:
    """Return a bench on a database file; its time is the same whenever it is made."""
    return Workbench(lambda: SQLiteStorage(path), ManualClock())


async def prepare(name: str, path: Path) -> None:
    """Make the store of a scenario."""
    async with make_bench(path) as bench:
        await SCENARIOS[name].prepare(bench)


async def carry_out(name: str, path: Path, steps: Steps, answered: Callable[[], object]) -> None:
    """Open a store, do to it what the scenario says, and close it; only the doing is watched."""
    scenario = SCENARIOS[name]
    async with make_bench(path) as bench:
        await scenario.warm_up(bench)
        answered()
        steps.arm()
        async for _ in scenario.act(bench):
            answered()
        steps.disarm()


def live(name: str, path: Path, steps: Steps, answered: Callable[[], object]) -> None:
    """Carry a scenario out in a process of its own."""
    asyncio.run(carry_out(name, path, steps, answered))


def start(path: Path, steps: Steps, answered: Callable[[], object]) -> None:
    """Open a store under watch, and close it."""

    async def act() -> None:
        steps.arm()
        async with make_bench(path):
            steps.disarm()
            answered()

    asyncio.run(act())


def stop(path: Path, steps: Steps, answered: Callable[[], object]) -> None:
    """Publish to a store, and close it under watch."""

    async def act() -> None:
        async with make_bench(path) as bench:
            await bench.put_many(COUNT)
            answered()
            steps.arm()
        steps.disarm()

    asyncio.run(act())


def migrate(
    migrations: Sequence[Migration], path: Path, steps: Steps, answered: Callable[[], object]
) -> None:
    """Bring a file to the newest of these schemas under watch."""
    steps.arm()
    asyncio.run(prepare_file(path, migrations))
    steps.disarm()
    answered()


async def _fill(bench: Workbench) -> None:
    await bench.make_queue("dead")
    await bench.make_queue(dead_letter_queue="dead", max_deliveries=1)
    await bench.put_many(COUNT)


async def _lease_all(bench: Workbench) -> None:
    await _fill(bench)
    assert len(await bench.take(limit=COUNT)) == COUNT


async def _settle_all(bench: Workbench, kind: str, **options: object) -> None:
    ops = [Settle(id=number, queue="q", kind=kind, token=None) for number in range(1, COUNT + 1)]
    results = await bench.settle(*ops, **options)
    assert {result.outcome for result in results} == {"ok"}


async def _fail_all(bench: Workbench) -> None:
    await _lease_all(bench)
    await _settle_all(bench, "reject")


async def _make_big(bench: Workbench) -> None:
    await _fill(bench)
    for _ in range(4):
        await bench.publish(bench.message(b"big" * 1_000_000))


async def _free_pages(bench: Workbench) -> None:
    await _make_big(bench)
    await bench.delete(queue="q")


async def _fill_log(bench: Workbench) -> None:
    await bench.publish(*[bench.message(bytes(3_000))] * (PAGES - 100))


async def publish(bench: Workbench) -> AsyncIterator[None]:
    """Publish three batches, with keys and groups."""
    for _ in range(3):
        await bench.publish(
            *[bench.message(group="g"), bench.message(dedup_key="k"), bench.message(delay=9)] * 50
        )
        yield


async def purge(bench: Workbench) -> AsyncIterator[None]:
    """Purge a queue in three parts."""
    while await bench.delete(queue="q", limit=COUNT // 3):
        yield


async def ack(bench: Workbench) -> AsyncIterator[None]:
    """Ack all, and publish as much elsewhere with it."""
    forwarded = [bench.message(b"next", queue="dead")] * COUNT
    await _settle_all(bench, "ack", publish=forwarded)
    yield


async def reject(bench: Workbench) -> AsyncIterator[None]:
    """Make dead letters of all that is leased."""
    await _settle_all(bench, "reject")
    yield


async def lapse(bench: Workbench) -> AsyncIterator[None]:
    """Make dead letters of leases that lapsed once too often, in three parts."""
    bench.advance(60)
    while (await bench.maintain(limit=COUNT // 3)).ended:
        yield


async def redrive(bench: Workbench) -> AsyncIterator[None]:
    """Bring dead letters back, in three parts."""
    while await bench.redrive(queue="dead", limit=COUNT // 3):
        yield


async def drop_queue(bench: Workbench) -> AsyncIterator[None]:
    """Drop a queue with all that it holds."""
    await bench.storage.drop_queue("q")
    yield


async def checkpoint(bench: Workbench) -> AsyncIterator[None]:
    """Publish what makes the log so long that it is written into the database."""
    for _ in range(2):
        await bench.publish(*[bench.message(bytes(3_000))] * 100)
        yield


async def shrink(bench: Workbench) -> AsyncIterator[None]:
    """Give free pages back to the disk, in two parts."""
    for _ in range(2):
        await bench.maintain()
        yield


SCENARIOS = {
    "publish": Scenario(_fill, publish),
    "purge": Scenario(_fill, purge),
    "ack and forward": Scenario(_lease_all, ack),
    "dead letters": Scenario(_lease_all, reject),
    "dead letters by maintenance": Scenario(_lease_all, lapse),
    "redrive": Scenario(_fail_all, redrive),
    "drop a queue": Scenario(_fill, drop_queue),
    "checkpoint": Scenario(_fill, checkpoint, _fill_log),
    "give pages back": Scenario(_free_pages, shrink),
}
