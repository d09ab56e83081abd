"""Cancellation: what a caller no longer waits for is done wholly or not at all."""

from __future__ import annotations

import asyncio

from broker.testing.cancelled import at_every_turn, cancel
from broker.testing.storage.bench import Workbench


class Cancelling:
    """The rows about callers that go away, after a number of turns of the event loop."""

    @at_every_turn
    async def test_a_cancelled_publish_is_whole_or_nothing(
        self, bench: Workbench, turns: int
    ) -> None:
        await bench.make_queue()
        await cancel(bench.publish(*(bench.message() for _ in range(3))), turns)
        after = await bench.put()
        *published, last = await bench.take_ids()
        assert last == after
        assert len(published) in (0, 3)
        assert (await bench.totals()).published == len(published) + 1

    @at_every_turn
    async def test_a_cancelled_lease_loses_no_message(self, bench: Workbench, turns: int) -> None:
        await bench.make_queue()
        ids = await bench.put_many(3)
        await cancel(bench.lease(limit=3, seconds=30), turns)
        assert len(await bench.take_ids()) in (0, 3)
        bench.advance(30)
        assert await bench.take_ids() == ids

    @at_every_turn
    async def test_a_cancelled_settle_is_whole_or_nothing(
        self, bench: Workbench, turns: int
    ) -> None:
        await bench.make_queue()
        await bench.make_queue("next")
        await bench.put()
        lease = await bench.take_one()
        await cancel(
            bench.settle(bench.op(lease, "ack"), publish=[bench.message(queue="next")]), turns
        )
        # A change that is waited for: the cancelled one, if it happens, happens before.
        await bench.make_queue("barrier")
        state = (await bench.get(lease.message.id)).state
        published = (await bench.totals("next")).published
        assert (state, published) in (("processing", 0), ("processed", 1))
        assert (await bench.ack(lease)).outcome == "ok"

    @at_every_turn
    async def test_a_cancelled_reject_leaves_the_message_in_one_queue(
        self, bench: Workbench, turns: int
    ) -> None:
        await bench.make_queue("dead")
        await bench.make_queue(dead_letter_queue="dead")
        message_id = await bench.put()
        await cancel(bench.do(await bench.take_one(), "reject"), turns)
        await bench.make_queue("barrier")
        message = await bench.get(message_id)
        assert (message.queue, message.state) in (("q", "processing"), ("dead", "pending"))
        assert await bench.browse_ids() + await bench.browse_ids("dead") == [message_id]

    @at_every_turn
    async def test_a_cancelled_change_of_a_queue_leaves_it_usable(
        self, bench: Workbench, turns: int
    ) -> None:
        await bench.make_queue()
        await bench.put()
        await cancel(bench.make_queue(paused=True), turns)
        queue = await bench.make_queue(paused=False)
        assert queue.version in (2, 3)
        assert len(await bench.take()) == 1

    @at_every_turn
    async def test_others_are_not_cancelled_along(self, bench: Workbench, turns: int) -> None:
        await bench.make_queue()
        others = [asyncio.create_task(bench.put()) for _ in range(5)]
        await cancel(bench.put(), turns)
        ids = await asyncio.gather(*others)
        assert set(ids) <= set(await bench.take_ids())
