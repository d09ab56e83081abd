"""Leasing: who gets a message, when, and in what order."""

from __future__ import annotations

import pytest

from broker.errors import QueueNotFound
from broker.models import Counts, LeaseResult, Totals
from broker.testing.contract import lacks, needs
from broker.testing.storage.bench import MEBIBYTE, Workbench


class Leasing:
    """The rows about lease."""

    async def test_a_leased_message_tells_of_its_lease(self, bench: Workbench) -> None:
        await bench.make_queue()
        message_id = await bench.put(b"hello")
        published_at = bench.now
        bench.advance(1)
        lease = await bench.take_one(seconds=30, owner="ann")
        message = lease.message
        assert len(lease.token) == 16
        assert message == await bench.get(message_id)
        assert (message.state, message.body) == ("processing", b"hello")
        assert (message.delivery_count, message.leased_by) == (1, "ann")
        assert message.enqueued_at == published_at
        assert message.first_delivered_at == message.updated_at == bench.now
        assert message.visible_at == bench.now + 30_000

    async def test_a_second_delivery_is_counted_and_keeps_the_time_of_the_first(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.put()
        first = await bench.take_one(seconds=30, owner="ann")
        bench.advance(30)
        second = await bench.take_one(owner="bob")
        assert second.message.id == first.message.id
        assert second.message.delivery_count == 2
        assert second.message.first_delivered_at == first.message.first_delivered_at
        assert second.message.leased_by == "bob"
        assert second.token != first.token

    async def test_leasing_is_counted(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_many(3)
        await bench.take(limit=2)
        status = await bench.status()
        assert status.counts == Counts(pending=1, processing=2)
        assert status.totals == Totals(published=3, delivered=2)
        assert status.bytes == 3

    async def test_lease_order_is_the_order_of_publishing(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = await bench.put_many(20)
        assert await bench.take_ids(limit=7) + await bench.take_ids(limit=13) == ids

    async def test_a_lease_ends_with_the_message_that_fills_the_budget_of_bytes(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        ids = [await bench.put(bytes(9 * MEBIBYTE)) for _ in range(3)]
        assert await bench.take_ids(limit=3) == ids[:2]
        assert await bench.counts() == Counts(pending=1, processing=2)
        assert await bench.take_ids(limit=3) == ids[2:]

    async def test_a_message_a_byte_short_of_the_budget_leaves_room_for_one_more(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        ids = [await bench.put(body) for body in (bytes(16 * MEBIBYTE - 1), b"1", b"2")]
        assert await bench.take_ids() == ids[:2]

    async def test_a_message_as_large_as_the_budget_of_bytes_is_leased_alone(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        ids = [await bench.put(body) for body in (bytes(16 * MEBIBYTE), b"small")]
        assert await bench.take_ids() == ids[:1]
        assert await bench.take_ids() == ids[1:]

    async def test_a_retried_message_returns_to_its_old_place(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = await bench.put_many(3)
        lease = await bench.take_one()
        await bench.do(lease, "retry")
        assert await bench.take_ids() == ids

    async def test_a_delayed_message_is_leased_in_the_order_of_ids(self, bench: Workbench) -> None:
        await bench.make_queue()
        delayed = await bench.put(delay=10)
        prompt = await bench.put()
        bench.advance(10)
        assert await bench.take_ids() == [delayed, prompt]

    @needs("priority")
    async def test_a_higher_priority_goes_first(self, bench: Workbench) -> None:
        await bench.make_queue()
        low = await bench.put(priority=0)
        middle = await bench.put()
        high = await bench.put(priority=9)
        middle_too = await bench.put()
        assert await bench.take_ids(limit=1) == [high]
        assert await bench.take_ids() == [middle, middle_too, low]

    @lacks("priority")
    async def test_an_undeclared_priority_has_no_effect(self, bench: Workbench) -> None:
        await bench.make_queue()
        low, high = await bench.put(priority=0), await bench.put(priority=9)
        assert await bench.take_ids() == [low, high]

    async def test_no_more_than_the_limit_is_leased(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_many(5)
        assert len(await bench.take(limit=3)) == 3
        assert await bench.counts() == Counts(pending=2, processing=3)

    async def test_an_empty_queue_leases_nothing(self, bench: Workbench) -> None:
        await bench.make_queue()
        assert await bench.lease() == LeaseResult(leases=[])

    async def test_an_unknown_queue_raises_queue_not_found(self, bench: Workbench) -> None:
        with pytest.raises(QueueNotFound, match=r'^there is no queue "q"$'):
            await bench.lease()

    async def test_a_leased_message_is_not_leased_again(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        await bench.take_one(seconds=30)
        bench.advance(29.999)
        assert await bench.take() == []

    async def test_queues_do_not_lease_each_others_messages(self, bench: Workbench) -> None:
        await bench.make_queue("a")
        await bench.make_queue("b")
        await bench.put(queue="a")
        assert await bench.take("b") == []

    async def test_every_lease_has_a_token_of_its_own(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_many(50)
        first = await bench.take(seconds=30)
        bench.advance(30)
        second = await bench.take()
        assert len({lease.token for lease in first + second}) == 100

    async def test_a_delayed_message_is_leased_when_its_time_comes(self, bench: Workbench) -> None:
        await bench.make_queue()
        message_id = await bench.put(delay=10)
        assert await bench.counts() == Counts(pending=1, scheduled=1)
        bench.advance(9.999)
        assert await bench.take() == []
        bench.advance(0.001)
        assert await bench.counts() == Counts(pending=1)
        assert await bench.take_ids() == [message_id]

    async def test_next_visible_at_is_that_of_the_next_scheduled_message(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.put(delay=20)
        await bench.put(delay=10)
        expected = LeaseResult(leases=[], next_visible_at=bench.now + 10_000)
        assert await bench.lease() == expected

    async def test_next_visible_at_is_the_end_of_the_next_lease(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_many(2)
        await bench.take(limit=1, seconds=30)
        result = await bench.lease(seconds=20)
        assert result.next_visible_at == bench.now + 20_000
        assert (await bench.lease()).next_visible_at == bench.now + 20_000

    @pytest.mark.parametrize(("delay", "lease", "next_in"), [(10, 20, 10), (20, 10, 10)])
    async def test_next_visible_at_is_the_sooner_of_a_delay_and_the_end_of_a_lease(
        self, bench: Workbench, delay: int, lease: int, next_in: int
    ) -> None:
        await bench.make_queue()
        await bench.put()
        await bench.put(delay=delay)
        await bench.take_one(seconds=lease)
        assert (await bench.lease()).next_visible_at == bench.now + next_in * 1000

    async def test_next_visible_at_is_the_end_of_a_lease_where_no_more_may_be_in_flight(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue(max_in_flight=1)
        await bench.put_many(2)
        await bench.take_one(seconds=30)
        expected = LeaseResult(leases=[], next_visible_at=bench.now + 30_000)
        assert await bench.lease() == expected

    async def test_next_visible_at_is_none_when_nothing_becomes_visible_by_itself(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.put_processed()
        await bench.put_failed()
        assert await bench.lease() == LeaseResult(leases=[])

    async def test_a_paused_queue_leases_nothing_and_says_so(self, bench: Workbench) -> None:
        await bench.make_queue(paused=True)
        await bench.put()
        await bench.put(delay=5)
        assert await bench.lease() == LeaseResult(leases=[], paused=True, next_visible_at=None)

    async def test_a_paused_queue_still_settles_and_publishes(self, bench: Workbench) -> None:
        await bench.make_queue()
        failed = await bench.put_failed()
        await bench.put()
        lease = await bench.take_one()
        await bench.make_queue(paused=True)
        assert (await bench.ack(lease)).outcome == "ok"
        assert await bench.redrive(ids=(failed,)) == 1
        await bench.put()
        assert await bench.counts() == Counts(pending=2, processed=1)

    async def test_a_resumed_queue_leases_what_waited(self, bench: Workbench) -> None:
        await bench.make_queue(paused=True)
        message_id = await bench.put()
        await bench.make_queue(paused=False)
        assert await bench.take_ids() == [message_id]

    async def test_no_more_than_max_in_flight_is_leased(self, bench: Workbench) -> None:
        await bench.make_queue(max_in_flight=3)
        ids = await bench.put_many(5)
        assert await bench.take_ids(limit=2) == ids[:2]
        assert await bench.take_ids() == ids[2:3]
        assert await bench.take_ids() == []

    async def test_a_settled_lease_frees_its_place_in_flight(self, bench: Workbench) -> None:
        await bench.make_queue(max_in_flight=1)
        first, second = await bench.put_many(2)
        lease = await bench.take_one()
        assert lease.message.id == first
        await bench.ack(lease)
        assert await bench.take_ids() == [second]

    async def test_a_lapsed_lease_frees_its_place_in_flight(self, bench: Workbench) -> None:
        await bench.make_queue(max_in_flight=1)
        first, _ = await bench.put_many(2)
        await bench.take_one(seconds=30)
        bench.advance(30)
        assert await bench.take_ids() == [first]
        assert await bench.take_ids() == []

    async def test_lowering_max_in_flight_takes_no_lease_away(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_many(3)
        [lease, _] = await bench.take(limit=2)
        await bench.make_queue(max_in_flight=1)
        assert await bench.take() == []
        assert (await bench.ack(lease)).outcome == "ok"
        assert await bench.take() == []
