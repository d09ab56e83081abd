"""Cleaning: old messages go, by age, state and queue, and the books stay right."""

from pathlib import Path

import pytest

from broker import StorageLocked, StorageUnreadable
from broker.testing import Workbench
from broker_storage_sqlite.check import check
from broker_storage_sqlite.clean import Old, clean, find_old


async def fill(bench: Workbench) -> None:
    """Three queues, each with an old and a new message of both finished states."""
    for queue in ("mail", "mail.dead", "orders"):
        await bench.make_queue(queue, retain_processed=None, retain_failed=None)
        await bench.put_failed(queue, body=b"four")
        await bench.put_processed(queue, body=b"seven..", dedup_key="k")
    bench.advance(3600)
    for queue in ("mail", "mail.dead", "orders"):
        await bench.put_failed(queue)
        await bench.put_processed(queue)
        await bench.put(queue=queue)


OLD = [
    Old(queue="mail", state="processed", messages=1, bytes=7),
    Old(queue="mail.dead", state="processed", messages=1, bytes=7),
    Old(queue="orders", state="processed", messages=1, bytes=7),
    Old(queue="mail", state="failed", messages=1, bytes=4),
    Old(queue="mail.dead", state="failed", messages=1, bytes=4),
    Old(queue="orders", state="failed", messages=1, bytes=4),
]


async def test_what_is_old_is_told_while_a_broker_runs(path: Path, bench: Workbench) -> None:
    async with bench:
        await fill(bench)
        before = bench.now
        assert find_old(path, ["processed", "failed"], before=before) == OLD
        assert find_old(path, ["failed"], before=before, globs=["mail*"]) == OLD[3:5]
        assert find_old(path, ["failed"], before=before, globs=["*.dead", "o*"]) == OLD[4:]
        assert find_old(path, ["failed"], before=before, globs=["Mail"]) == []
        assert find_old(path, ["failed"], before=before - 3_600_000) == []
        assert sum(old.messages for old in find_old(path, ["failed"], before=before + 1)) == 6


async def test_what_is_removed_is_counted_and_nothing_else_goes(
    path: Path, bench: Workbench
) -> None:
    async with bench:
        await fill(bench)
        before, now = bench.now, bench.now + 5
    assert await clean(path, ["failed"], before=before, now=now, globs=["mail*"]) == OLD[3:5]
    assert check(path).findings == []
    async with bench:
        assert find_old(path, ["processed", "failed"], before=before) == [*OLD[:3], OLD[5]]
        assert (await bench.totals("mail")).deleted == 1
        assert (await bench.totals("mail")).retired == 0
        assert (await bench.totals("orders")).deleted == 0
        assert (await bench.counts("mail")).total == 4


async def test_a_dedup_key_outlives_its_message(path: Path, bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        first = await bench.put_processed(dedup_key="k")
    assert await clean(path, ["processed"], before=bench.now + 1, now=bench.now)
    async with bench:
        [again] = await bench.publish(bench.message(dedup_key="k"))
    assert (again.id, again.duplicate) == (first, True)


async def test_many_are_removed_in_pieces(path: Path, bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put_many(750)
        await bench.put_many(750)
        leases = await bench.take(limit=1500)
        await bench.settle(*(bench.op(lease, "ack") for lease in leases))
    [removed] = await clean(path, ["processed"], before=bench.now + 1, now=bench.now)
    assert removed.messages == 1500
    assert check(path).messages == 0
    assert check(path).findings == []


async def test_a_store_in_use_is_cleaned_through_its_broker(path: Path, bench: Workbench) -> None:
    async with bench:
        await fill(bench)
        with pytest.raises(StorageLocked) as refused:
            await clean(path, ["failed"], before=bench.now, now=bench.now)
    assert str(refused.value) == (
        f"a broker uses {path}; clean through it: broker queue purge QUEUE --state failed"
        " --older-than 7d, for example"
    )


async def test_a_store_that_is_not_there_is_not_made(path: Path) -> None:
    for attempt in (
        lambda: clean(path, ["failed"], before=1, now=1),
        lambda: find_old(path, ["failed"], before=1),
    ):
        with pytest.raises(StorageUnreadable, match="is not there"):
            await attempt()
    assert list(path.parent.iterdir()) == []
