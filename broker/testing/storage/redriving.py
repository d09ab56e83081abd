"""Redrive: bringing back what failed."""

from __future__ import annotations

import msgspec

from broker.models import Counts, Totals
from broker.testing.storage.bench import Workbench
from broker.testing.storage.dead_letters import put_dead_letter


class Redriving:
    """The rows about bulk redrive."""

    async def test_a_failed_message_becomes_pending_in_its_own_queue(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        message_id = await bench.put(b"again", ttl=60)
        published = await bench.get(message_id)
        await bench.do(await bench.take_one(), "reject", reason="bad")
        bench.advance(1)
        assert await bench.redrive(queue="q") == 1
        assert await bench.get(message_id) == msgspec.structs.replace(
            published, updated_at=bench.now, visible_at=bench.now, expires_at=None
        )
        assert await bench.counts() == Counts(pending=1)
        assert await bench.totals() == Totals(published=1, delivered=1, failed=1, redriven=1)

    async def test_a_dead_letter_goes_back_to_its_origin(self, bench: Workbench) -> None:
        message_id = await put_dead_letter(bench)
        queue = (await bench.status()).queue
        bench.advance(1)
        assert await bench.redrive(queue="dead") == 1
        message = await bench.get(message_id)
        assert (message.queue, message.queue_id) == ("q", queue.id)
        assert (message.state, message.visible_at) == ("pending", bench.now)
        assert (message.reason, message.origin_queue) == (None, None)
        left, came = await bench.status("dead"), await bench.status()
        assert (left.counts, left.bytes, left.totals) == (Counts(), 0, Totals(redriven=1))
        assert (came.counts, came.bytes) == (Counts(pending=1), 4)
        assert came.totals == Totals(published=1, delivered=1, failed=1, dead_lettered=1)

    async def test_a_redriven_message_is_delivered_as_often_as_a_new_one(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue(max_deliveries=1)
        message_id = await bench.put_failed()
        await bench.redrive(queue="q")
        lease = await bench.take_one()
        assert (lease.message.id, lease.message.delivery_count) == (message_id, 1)
        assert lease.message.first_delivered_at == bench.now

    async def test_a_letter_that_failed_goes_back_to_its_origin(self, bench: Workbench) -> None:
        message_id = await put_dead_letter(bench)
        await bench.do(await bench.take_one("dead"), "reject")
        assert await bench.redrive(queue="dead") == 1
        assert (await bench.get(message_id)).queue == "q"

    async def test_a_letter_that_waits_for_a_retry_is_redriven(self, bench: Workbench) -> None:
        await put_dead_letter(bench)
        await bench.do(await bench.take_one("dead"), "retry", seconds=60)
        assert await bench.redrive(queue="dead") == 1
        assert await bench.counts() == Counts(pending=1)

    async def test_a_lapsed_letter_is_redriven_and_its_lease_is_stale(
        self, bench: Workbench
    ) -> None:
        await put_dead_letter(bench)
        lease = await bench.take_one("dead", seconds=30)
        bench.advance(30)
        assert await bench.redrive(queue="dead") == 1
        assert await bench.counts() == Counts(pending=1)
        assert await bench.totals("dead") == Totals(delivered=1, lapsed=1, redriven=1)
        assert (await bench.ack(lease)).outcome == "stale"

    async def test_a_leased_letter_stays(self, bench: Workbench) -> None:
        await put_dead_letter(bench)
        lease = await bench.take_one("dead")
        assert await bench.redrive(queue="dead") == 0
        assert await bench.get(lease.message.id) == lease.message

    async def test_what_did_not_fail_stays(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_processed()
        await bench.put_many(2)
        await bench.take(limit=1)
        await bench.put(delay=60)
        before = await bench.everything()
        assert await bench.redrive(queue="q") == 0
        assert await bench.everything() == before

    async def test_a_letter_whose_origin_is_gone_stays_and_is_not_counted(
        self, bench: Workbench
    ) -> None:
        message_id = await put_dead_letter(bench)
        await bench.storage.drop_queue("q")
        before = await bench.everything()
        assert await bench.redrive(queue="dead") == 0
        assert await bench.everything() == before
        assert (await bench.get(message_id)).origin_queue == "q"

    async def test_a_letter_goes_to_a_new_queue_of_its_origins_name(self, bench: Workbench) -> None:
        message_id = await put_dead_letter(bench)
        await bench.storage.drop_queue("q")
        await bench.make_queue()
        assert await bench.redrive(queue="dead") == 1
        assert await bench.take_ids() == [message_id]

    async def test_messages_are_redriven_by_id(self, bench: Workbench) -> None:
        await bench.make_queue()
        failed = [await bench.put_failed() for _ in range(3)]
        assert await bench.redrive(ids=(failed[2], failed[0], 4711)) == 2
        assert await bench.browse_ids("q", "pending") == [failed[0], failed[2]]

    async def test_messages_are_redriven_by_state(self, bench: Workbench) -> None:
        await put_dead_letter(bench)
        await bench.do(await bench.take_one("dead"), "reject")
        letter = await bench.put_failed()
        assert await bench.redrive(queue="dead", states=("failed",)) == 1
        assert await bench.browse_ids("dead") == [letter]

    async def test_no_more_than_the_limit_are_redriven_lowest_ids_first(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.put_processed()
        failed = [await bench.put_failed() for _ in range(3)]
        assert await bench.redrive(queue="q", limit=2) == 2
        assert await bench.browse_ids("q", "pending") == failed[:2]

    async def test_limits_do_not_hold_redriven_messages_back(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=1, max_bytes=1)
        await bench.put(b"", delay=60)
        await bench.make_queue(max_messages=2)
        failed = await bench.put_failed()
        await bench.make_queue(max_messages=1, max_bytes=1, overflow="drop_oldest")
        assert await bench.redrive(ids=(failed,)) == 1
        assert await bench.counts() == Counts(pending=2, scheduled=1)

    async def test_redriving_what_is_not_there_does_nothing(self, bench: Workbench) -> None:
        await bench.make_queue()
        assert await bench.redrive(queue="q") == 0
        assert await bench.redrive(ids=()) == 0
