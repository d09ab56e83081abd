"""Many at a time: of those that want the same, one gets it."""

from __future__ import annotations

import asyncio
from itertools import chain

from broker.errors import QueueExists, QueueFull
from broker.models import Counts, QueueSpec
from broker.testing.contract import needs
from broker.testing.storage.bench import Workbench

TASKS = 8


class Concurrency:
    """The rows about tasks that race each other."""

    async def test_each_producer_keeps_its_order(self, bench: Workbench) -> None:
        await bench.make_queue()

        async def produce() -> list[int]:
            return [await bench.put() for _ in range(20)]

        produced = await asyncio.gather(*(produce() for _ in range(TASKS)))
        assert all(ids == sorted(ids) for ids in produced)
        assert await bench.take_ids(limit=1000) == sorted(chain.from_iterable(produced))

    async def test_of_two_that_settle_one_lease_one_wins(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_many(20)
        for lease in await bench.take():
            results = await asyncio.gather(bench.do(lease, "reject"), bench.do(lease, "retry"))
            assert sorted(result.outcome for result in results) == ["ok", "stale"]

    async def test_of_many_that_lease_a_lapsed_message_one_gets_it(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        await bench.take_one(seconds=30)
        bench.advance(30)
        taken = await asyncio.gather(*(bench.take() for _ in range(TASKS)))
        assert sum(len(leases) for leases in taken) == 1

    async def test_of_many_that_make_a_queue_one_does(self, bench: Workbench) -> None:
        results = await asyncio.gather(
            *(
                bench.storage.put_queue(QueueSpec("q"), expect=0, now=bench.now)
                for _ in range(TASKS)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(result, QueueExists) for result in results) == TASKS - 1
        assert (await bench.status()).queue.version == 1

    async def test_a_limit_holds_when_many_publish(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=5)
        results = await asyncio.gather(*(bench.put() for _ in range(20)), return_exceptions=True)
        assert sum(isinstance(result, QueueFull) for result in results) == 15
        assert await bench.counts() == Counts(pending=5)

    async def test_max_in_flight_holds_when_many_lease(self, bench: Workbench) -> None:
        await bench.make_queue(max_in_flight=5)
        await bench.put_many(20)
        taken = await asyncio.gather(*(bench.take(limit=2) for _ in range(TASKS)))
        assert sum(len(leases) for leases in taken) == 5

    @needs("dedup")
    async def test_of_many_that_publish_with_one_key_one_is_first(self, bench: Workbench) -> None:
        await bench.make_queue()
        results = await asyncio.gather(
            *(bench.publish(bench.message(dedup_key="k")) for _ in range(TASKS))
        )
        assert sum(not result.duplicate for [result] in results) == 1
        assert len({result.id for [result] in results}) == 1

    @needs("groups")
    async def test_one_of_a_group_is_leased_when_many_lease(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = await bench.put_many(20, group="g")
        taken = await asyncio.gather(*(bench.take_ids() for _ in range(TASKS)))
        assert list(chain.from_iterable(taken)) == ids[:1]

    async def test_a_refused_operation_does_not_hurt_its_neighbours(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.make_queue("full", max_messages=1)
        await bench.put(queue="full")
        results = await asyncio.gather(
            *(bench.put(queue=queue) for queue in ("q", "full", "q", "full", "q")),
            return_exceptions=True,
        )
        refused = [isinstance(result, QueueFull) for result in results]
        assert refused == [False, True, False, True, False]
        assert await bench.counts() == Counts(pending=3)
        assert await bench.counts("full") == Counts(pending=1)

    async def test_many_that_maintain_do_everything_once(self, bench: Workbench) -> None:
        await bench.make_queue(max_deliveries=1)
        failed = await bench.put_many(10)
        await bench.take(seconds=30)
        expired = await bench.put_many(10, ttl=30)
        bench.advance(30)
        rounds = await asyncio.gather(*(bench.maintain() for _ in range(TASKS)))
        assert sum(done.lapsed.get("q", 0) for done in rounds) == 10
        ended = sorted((one.how, one.id) for done in rounds for one in done.ended)
        assert ended[:10] == [("expired", message_id) for message_id in expired]
        assert ended[10:] == [("failed", message_id) for message_id in failed]
        totals = await bench.totals()
        assert (totals.lapsed, totals.failed, totals.expired) == (10, 10, 10)
