"""Limits: a queue that is full says so, or lets the oldest go."""

from __future__ import annotations

from typing import Any

import pytest

from broker.errors import QueueFull
from broker.models import Counts, Totals
from broker.testing.storage.bench import Workbench


class Limits:
    """The rows about max_messages, max_bytes and overflow."""

    async def test_a_full_queue_refuses_messages(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=3)
        await bench.put_many(3)
        before = await bench.everything()
        with pytest.raises(QueueFull, match=r'^queue "q" is full: max_messages is 3$'):
            await bench.put()
        assert await bench.everything() == before

    async def test_a_batch_that_does_not_fit_is_refused_whole(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=3)
        await bench.make_queue("other")
        await bench.put_many(2)
        before = await bench.everything()
        with pytest.raises(QueueFull):
            await bench.publish(bench.message(queue="other"), bench.message(), bench.message())
        assert await bench.everything() == before
        await bench.put()
        assert await bench.counts() == Counts(pending=3)

    async def test_a_full_queue_of_bytes_refuses_messages(self, bench: Workbench) -> None:
        await bench.make_queue(max_bytes=100)
        await bench.put(b"x" * 60)
        before = await bench.everything()
        with pytest.raises(QueueFull, match=r'^queue "q" is full: max_bytes is 100$'):
            await bench.put(b"x" * 41)
        assert await bench.everything() == before
        await bench.put(b"x" * 40)
        await bench.put(b"")
        assert (await bench.status()).bytes == 100

    async def test_scheduled_messages_count(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=1)
        await bench.put(delay=60)
        with pytest.raises(QueueFull):
            await bench.put()

    async def test_leased_and_finished_messages_do_not_count(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=1, max_bytes=4)
        await bench.put_processed()
        await bench.put_failed()
        await bench.put()
        await bench.take_one()
        await bench.put()
        assert await bench.counts() == Counts(pending=1, processing=1, processed=1, failed=1)
        with pytest.raises(QueueFull):
            await bench.put()

    @pytest.mark.parametrize("limit", [{"max_messages": 1}, {"max_bytes": 4}])
    async def test_lapsed_messages_count(self, bench: Workbench, limit: dict[str, Any]) -> None:
        await bench.make_queue(**limit)
        await bench.put()
        await bench.take_one(seconds=30)
        bench.advance(30)
        with pytest.raises(QueueFull):
            await bench.put()

    async def test_a_retry_may_overfill_a_queue(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=1)
        await bench.put()
        lease = await bench.take_one()
        await bench.put()
        assert (await bench.do(lease, "retry")).outcome == "ok"
        assert await bench.counts() == Counts(pending=2)

    async def test_a_leased_message_makes_room(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=1)
        for _ in range(3):
            await bench.put()
            await bench.take_one()
        assert await bench.counts() == Counts(processing=3)

    @pytest.mark.parametrize("way", ["late ack", "delete", "ttl"])
    async def test_a_lapsed_message_that_goes_makes_room(self, bench: Workbench, way: str) -> None:
        await bench.make_queue(max_messages=1, max_bytes=4)
        await bench.put(ttl=40)
        lease = await bench.take_one(seconds=30)
        bench.advance(30)
        await bench.maintain()
        if way == "late ack":
            await bench.ack(lease)
        elif way == "delete":
            await bench.delete(ids=(lease.message.id,))
        else:
            bench.advance(10)
            await bench.maintain()
        await bench.put(b"four")
        with pytest.raises(QueueFull):
            await bench.put(b"")

    async def test_raising_a_limit_makes_room(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=1)
        await bench.put()
        await bench.make_queue(max_messages=2)
        await bench.put()
        assert await bench.counts() == Counts(pending=2)

    async def test_lowering_a_limit_removes_nothing(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_many(3)
        await bench.make_queue(max_messages=1)
        assert await bench.counts() == Counts(pending=3)
        with pytest.raises(QueueFull):
            await bench.put()

    async def test_drop_oldest_lets_the_lowest_ids_go(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=3, overflow="drop_oldest")
        ids = await bench.put_many(3)
        ids += await bench.put_many(2)
        assert await bench.browse_ids() == ids[2:]
        status = await bench.status()
        assert (status.counts, status.bytes) == (Counts(pending=3), 3)
        assert status.totals == Totals(published=5, dropped=2)

    async def test_drop_oldest_keeps_the_end_of_a_batch_that_is_too_long(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue(max_messages=3, overflow="drop_oldest")
        ids = await bench.put_many(5)
        assert await bench.browse_ids() == ids[2:]
        assert await bench.totals() == Totals(published=5, dropped=2)

    async def test_drop_oldest_lets_as_many_go_as_the_bytes_demand(self, bench: Workbench) -> None:
        await bench.make_queue(max_bytes=100, overflow="drop_oldest")
        for _ in range(3):
            await bench.put(b"x" * 30)
        last = await bench.put(b"x" * 80)
        assert await bench.browse_ids() == [last]
        assert await bench.totals() == Totals(published=4, dropped=3)

    async def test_drop_oldest_takes_no_leased_or_finished_message(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=1, overflow="drop_oldest")
        finished = [await bench.put_processed(), await bench.put_failed()]
        leased = await bench.put()
        await bench.take_one()
        await bench.put()
        last = await bench.put()
        assert await bench.browse_ids() == [*finished, leased, last]
        assert (await bench.totals()).dropped == 1

    async def test_drop_oldest_takes_scheduled_and_lapsed_messages(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=2, overflow="drop_oldest")
        await bench.put()
        await bench.take_one(seconds=30)
        await bench.put(delay=60)
        bench.advance(30)
        ids = await bench.put_many(2)
        assert await bench.browse_ids() == ids
        assert await bench.totals() == Totals(published=4, delivered=1, lapsed=1, dropped=2)

    @pytest.mark.parametrize("overflow", ["reject", "drop_oldest"])
    async def test_a_body_larger_than_max_bytes_never_fits(
        self, bench: Workbench, overflow: str
    ) -> None:
        await bench.make_queue(max_bytes=100, overflow=overflow)
        await bench.put(b"x")
        before = await bench.everything()
        with pytest.raises(QueueFull, match=r'^queue "q" is full: max_bytes is 100$'):
            await bench.publish(bench.message(b"y"), bench.message(b"x" * 101))
        assert await bench.everything() == before

    async def test_limits_of_other_queues_do_not_matter(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=1)
        await bench.make_queue("other")
        await bench.put_many(3, queue="other")
        await bench.put()
        assert await bench.counts("other") == Counts(pending=3)
