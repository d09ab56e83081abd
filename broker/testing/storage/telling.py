"""Telling: what a storage says of each message that it ended, settled, published or moved."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import pytest

from broker.models import BulkResult, Ended, Maintenance, PublishResult, Settled
from broker.testing.contract import needs
from broker.testing.storage.bench import SettleKind, Workbench
from broker.testing.storage.dead_letters import put_dead_letter
from broker.testing.storage.expiring import expired
from broker.testing.storage.lapsing import exhausted

TASKS = 8


class Telling:
    """The rows about `ended`, `reason`, `published`, and what bulk returns."""

    async def test_what_a_lease_ended_is_told_once(self, bench: Workbench) -> None:
        spent, late = await put_over(bench)
        told = [*(await bench.lease(limit=10)).ended, *(await bench.maintain()).ended]
        assert by_id(told) == [exhausted(spent, deliveries=1), expired(late)]
        assert (await bench.lease(limit=10)).ended == ()
        assert await bench.maintain() == Maintenance()

    async def test_what_maintain_ended_is_told_once(self, bench: Workbench) -> None:
        spent, late = await put_over(bench)
        done = await bench.maintain()
        assert by_id(done.ended) == [exhausted(spent, deliveries=1), expired(late)]
        assert (await bench.lease(limit=10)).ended == ()
        assert await bench.maintain() == Maintenance()

    async def test_what_a_lease_made_a_dead_letter_is_told_with_its_new_queue(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue("dead")
        spent, late = await put_over(bench, dead_letter_queue="dead")
        told = [*(await bench.lease(limit=10)).ended, *(await bench.maintain()).ended]
        assert {(one.id, one.queue, one.moved_to) for one in told} == {
            (spent, "q", "dead"),
            (late, "q", "dead"),
        }
        assert await bench.browse_ids("dead") == [spent, late]

    async def test_a_letter_that_ends_again_is_told_of_where_it_was_last(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue("deader")
        await bench.make_queue("dead", dead_letter_queue="deader", max_deliveries=1)
        await bench.make_queue(dead_letter_queue="dead")
        message_id = await bench.put_failed()
        await bench.take_one("dead", seconds=30)
        bench.advance(30)
        [ended] = (await bench.maintain()).ended
        assert (ended.id, ended.queue, ended.moved_to) == (message_id, "dead", "deader")

    @pytest.mark.parametrize("target", ["nowhere", "q"])
    async def test_a_dead_letter_queue_that_takes_nothing_is_not_told(
        self, bench: Workbench, target: str
    ) -> None:
        spent, late = await put_over(bench, dead_letter_queue=target)
        assert by_id((await bench.maintain()).ended) == [
            exhausted(spent, deliveries=1),
            expired(late),
        ]

    async def test_lapses_are_told_by_queue(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.make_queue("other")
        await bench.put_many(2)
        await bench.put(queue="other")
        await bench.take(seconds=30)
        await bench.take("other", seconds=30)
        bench.advance(30)
        assert (await bench.maintain()).lapsed == {"q": 2, "other": 1}

    @pytest.mark.parametrize(
        ("kind", "reason", "told"),
        [
            ("reject", "bad", "bad"),
            ("reject", None, "rejected"),
            ("retry", "busy", "busy"),
            ("retry", None, "gave up after 1 deliveries"),
            ("ack", "fine", None),
            ("release", "stop", None),
            ("extend", "slow", None),
        ],
    )
    async def test_a_settle_tells_why_a_message_failed_if_it_did(
        self, bench: Workbench, kind: SettleKind, reason: str | None, told: str | None
    ) -> None:
        await bench.make_queue(max_deliveries=1)
        await bench.put()
        result = await bench.do(await bench.take_one(), kind, seconds=60, reason=reason)
        assert (result.outcome, result.reason) == ("ok", told)

    async def test_a_retry_that_is_not_the_last_tells_of_no_failure(self, bench: Workbench) -> None:
        await bench.make_queue(max_deliveries=2)
        await bench.put()
        result = await bench.do(await bench.take_one(), "retry", reason="busy")
        assert (result.state, result.reason) == ("pending", None)

    async def test_a_settle_that_publishes_tells_the_ids(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.make_queue("next")
        await bench.put()
        lease = await bench.take_one()
        batch = [bench.message(b"1", queue="next"), bench.message(b"2")]
        settled = await bench.settle_and_publish(bench.op(lease, "ack"), publish=batch)
        [first], [second] = await bench.browse_ids("next"), await bench.browse_ids("q", "pending")
        assert settled.published == [PublishResult(first), PublishResult(second)]

    async def test_a_settle_that_was_refused_tells_of_nothing_published(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.put()
        op = bench.op(await bench.take_one(), "reject")
        await bench.settle(op)
        settled = await bench.settle_and_publish(op, publish=[bench.message()])
        assert (settled.results[0].outcome, settled.published) == ("stale", [])
        assert await bench.settle_and_publish() == Settled(results=[])

    @needs("dedup")
    async def test_a_settle_that_publishes_a_duplicate_tells_the_first_id(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        first = await bench.put(dedup_key="k")
        settled = await bench.settle_and_publish(publish=[bench.message(dedup_key="k")])
        assert settled.published == [PublishResult(first, duplicate=True)]

    async def test_what_is_deleted_is_told_with_its_queue(self, bench: Workbench) -> None:
        await bench.make_queue("a")
        await bench.make_queue("b")
        first, second = await bench.put(queue="b"), await bench.put(queue="a")
        await bench.take_one("a")
        told = await bench.bulk("delete", ids=(first, second, 4711))
        assert sorted(told, key=lambda one: one.id) == [
            BulkResult(id=first, queue="b"),
            BulkResult(id=second, queue="a"),
        ]

    async def test_what_is_redriven_is_told_with_the_queue_where_it_is_now(
        self, bench: Workbench
    ) -> None:
        letter = await put_dead_letter(bench)
        failed = await bench.put(queue="dead")
        for lease in await bench.take("dead"):
            await bench.do(lease, "reject")
        told = await bench.bulk("redrive", queue="dead")
        assert sorted(told, key=lambda one: one.id) == [
            BulkResult(id=letter, queue="q"),
            BulkResult(id=failed, queue="dead"),
        ]
        assert await bench.bulk("redrive", queue="dead") == []

    async def test_of_many_that_lease_and_maintain_each_end_is_told_once_and_counted(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue("dead")
        await bench.make_queue(dead_letter_queue="dead", max_deliveries=1)
        await bench.make_queue("other", max_deliveries=1, retain_failed=None)
        ids: list[int] = []
        for queue in ("q", "other"):
            ids += await bench.put_many(20, queue=queue)
            await bench.take(queue, seconds=30)
            ids += await bench.put_many(20, queue=queue, ttl=30)
        bench.advance(30)
        looking = (bench.lease(queue, limit=3) for queue in ("q", "other") for _ in range(TASKS))
        upkeep = (bench.maintain(limit=7) for _ in range(TASKS))
        maintained, leases = await asyncio.gather(asyncio.gather(*upkeep), asyncio.gather(*looking))
        told = [one for result in leases for one in result.ended]
        told += [one for done in maintained for one in done.ended]
        for _ in ids:
            told += (await bench.maintain()).ended
        assert [one.id for one in by_id(told)] == sorted(ids)
        for queue, letters in (("q", 40), ("other", 0)):
            totals = await bench.totals(queue)
            how = Counter(one.how for one in told if one.queue == queue)
            assert how == {"failed": totals.failed, "expired": totals.expired}
            assert totals.dead_lettered == letters
            assert sum(one.moved_to == "dead" for one in told if one.queue == queue) == letters


async def put_over(bench: Workbench, **policy: str) -> tuple[int, int]:
    """Make "q" with a message that was delivered too often and one whose ttl has just passed."""
    await bench.make_queue(max_deliveries=1, retain_failed=None, **policy)
    spent = await bench.put()
    await bench.take_one(seconds=30)
    late = await bench.put(ttl=30)
    bench.advance(30)
    return spent, late


def by_id(told: Iterable[Ended]) -> list[Ended]:
    """Sort what was told in any order."""
    return sorted(told, key=lambda one: one.id)
