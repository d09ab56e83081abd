"""Groups: one message of a group at a time, in the order of publishing."""

from __future__ import annotations

from broker.testing.contract import lacks, needs
from broker.testing.storage.bench import Workbench


class Groups:
    """The rows about group and ordering."""

    @needs("groups")
    async def test_only_the_head_of_a_group_is_leased(self, bench: Workbench) -> None:
        await bench.make_queue()
        first, second = await bench.put_many(2, group="g")
        lease = await bench.take_one()
        assert lease.message.id == first
        assert await bench.take() == []
        await bench.ack(lease)
        assert await bench.take_ids() == [second]

    @needs("groups")
    async def test_groups_do_not_wait_for_each_other(self, bench: Workbench) -> None:
        await bench.make_queue()
        a, _ = await bench.put_many(2, group="a")
        b, _ = await bench.put_many(2, group="b")
        free = await bench.put_many(2)
        assert await bench.take_ids() == [a, b, *free]

    @needs("groups")
    async def test_a_group_of_the_same_name_in_another_queue_is_another_group(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.make_queue("other")
        await bench.put(group="g")
        await bench.take_one()
        other = await bench.put(queue="other", group="g")
        assert await bench.take_ids("other") == [other]

    @needs("groups")
    async def test_a_delayed_head_holds_its_group_back(self, bench: Workbench) -> None:
        await bench.make_queue()
        head = await bench.put(group="g", delay=10)
        await bench.put(group="g")
        assert await bench.take() == []
        bench.advance(10)
        assert await bench.take_ids() == [head]

    @needs("groups")
    async def test_a_retried_head_holds_its_group_back(self, bench: Workbench) -> None:
        await bench.make_queue()
        head, second = await bench.put_many(2, group="g")
        await bench.do(await bench.take_one(), "retry", seconds=10)
        assert await bench.take() == []
        bench.advance(10)
        lease = await bench.take_one()
        assert lease.message.id == head
        await bench.ack(lease)
        assert await bench.take_ids() == [second]

    @needs("groups")
    async def test_a_released_head_is_leased_again_first(self, bench: Workbench) -> None:
        await bench.make_queue()
        head, _ = await bench.put_many(2, group="g")
        await bench.do(await bench.take_one(), "release")
        assert await bench.take_ids() == [head]

    @needs("groups")
    async def test_a_lapsed_head_is_leased_again_first(self, bench: Workbench) -> None:
        await bench.make_queue()
        head, _ = await bench.put_many(2, group="g")
        await bench.take_one(seconds=30)
        bench.advance(30)
        assert await bench.take_ids() == [head]

    @needs("groups")
    async def test_a_late_ack_lets_the_next_of_the_group_go(self, bench: Workbench) -> None:
        await bench.make_queue()
        _, second = await bench.put_many(2, group="g")
        lease = await bench.take_one(seconds=30)
        bench.advance(30)
        await bench.ack(lease)
        assert await bench.take_ids() == [second]

    @needs("groups")
    async def test_a_failed_head_lets_the_next_of_the_group_go(self, bench: Workbench) -> None:
        await bench.make_queue()
        _, second = await bench.put_many(2, group="g")
        await bench.do(await bench.take_one(), "reject")
        assert await bench.take_ids() == [second]

    @needs("groups")
    async def test_a_dead_lettered_head_lets_the_next_of_the_group_go(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue("dead")
        await bench.make_queue(dead_letter_queue="dead")
        head, second = await bench.put_many(2, group="g")
        await bench.do(await bench.take_one(), "reject")
        assert await bench.take_ids() == [second]
        assert await bench.take_ids("dead") == [head]
        assert (await bench.get(head)).group == "g"

    @needs("groups")
    async def test_a_deleted_head_lets_the_next_of_the_group_go(self, bench: Workbench) -> None:
        await bench.make_queue()
        head, second = await bench.put_many(2, group="g")
        await bench.take_one()
        await bench.delete(ids=(head,))
        assert await bench.take_ids() == [second]

    @needs("groups")
    async def test_an_expired_head_lets_the_next_of_the_group_go(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put(group="g", ttl=10, delay=60)
        second = await bench.put(group="g")
        bench.advance(10)
        await bench.maintain()
        assert await bench.take_ids() == [second]

    @needs("groups")
    async def test_a_redriven_message_waits_for_the_lease_of_its_group(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        first, second, third = await bench.put_many(3, group="g")
        await bench.do(await bench.take_one(), "reject")
        lease = await bench.take_one()
        assert lease.message.id == second
        await bench.redrive(ids=(first,))
        assert await bench.take() == []
        await bench.ack(lease)
        lease = await bench.take_one()
        assert lease.message.id == first
        await bench.ack(lease)
        assert await bench.take_ids() == [third]

    @needs("groups", "priority")
    async def test_between_groups_the_priority_of_the_heads_counts(self, bench: Workbench) -> None:
        await bench.make_queue()
        a_head = await bench.put(group="a", priority=1)
        await bench.put(group="a", priority=9)
        b_head = await bench.put(group="b", priority=5)
        free = await bench.put(priority=3)
        assert await bench.take_ids() == [b_head, free, a_head]

    @needs("groups", "priority")
    async def test_leases_are_in_order_also_when_a_head_ends_on_the_way(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue(max_deliveries=1)
        await bench.put(group="lapsing", priority=0)
        await bench.take_one(seconds=30)
        await bench.put(group="expiring", priority=0, ttl=30)
        for group in ("lapsing", "expiring"):
            await bench.put(group=group, priority=9)
        await bench.put(priority=5)
        bench.advance(30)
        priorities = [lease.message.priority for lease in await bench.take()]
        # What waited behind them may come now or next time, but not in the wrong place.
        assert 5 in priorities
        assert priorities == sorted(priorities, reverse=True)

    @needs("groups")
    async def test_all_of_a_group_come_one_after_the_other(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = await bench.put_many(10, group="g")
        taken = []
        for _ in ids:
            [lease] = await bench.take()
            taken.append(lease.message.id)
            await bench.ack(lease)
        assert taken == ids

    @needs("groups", "priority")
    async def test_group_fifo_ignores_priority(self, bench: Workbench) -> None:
        await bench.make_queue(ordering="group_fifo")
        low = await bench.put(priority=0)
        head = await bench.put(group="g", priority=1)
        await bench.put(group="g", priority=9)
        high = await bench.put(priority=9)
        assert await bench.take_ids() == [low, head, high]

    @needs("groups", "priority")
    async def test_changing_the_ordering_changes_it_for_what_is_there(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        low, high = await bench.put(priority=0), await bench.put(priority=9)
        await bench.make_queue(ordering="group_fifo")
        assert await bench.take_ids(limit=1) == [low]
        await bench.put(priority=5)
        await bench.make_queue(ordering="priority")
        assert await bench.take_ids(limit=1) == [high]

    @needs("groups", "priority")
    async def test_a_dead_letter_is_leased_in_the_order_of_its_new_queue(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue("dead", ordering="group_fifo")
        await bench.make_queue(dead_letter_queue="dead")
        first = await bench.put(queue="dead")
        letter = await bench.put_failed(priority=9)
        assert await bench.take_ids("dead") == [first, letter]

    @needs("groups")
    async def test_what_waits_behind_its_head_is_not_the_oldest_that_could_be_leased(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.put(group="g")
        await bench.put(group="g")
        await bench.take_one()
        assert (await bench.status()).oldest_at is None
        bench.advance(1)
        await bench.put()
        assert (await bench.status()).oldest_at == bench.now

    @lacks("groups")
    async def test_an_undeclared_group_has_no_effect(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = await bench.put_many(2, group="g")
        assert await bench.take_ids() == ids
