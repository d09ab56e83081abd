"""Dead letters: where failed messages go, and how they come back."""

from __future__ import annotations

import msgspec
import pytest

from broker.models import Counts, Ended, Maintenance, SettleResult, Totals
from broker.testing.storage.bench import KINDS, SettleKind, Workbench


class DeadLetters:
    """The rows about dead_letter_queue."""

    async def test_a_rejected_message_moves_to_the_dead_letter_queue(
        self, bench: Workbench
    ) -> None:
        dead = await bench.make_queue("dead")
        await bench.make_queue(dead_letter_queue="dead")
        message_id = await bench.put(b"poison", headers={"a": "b"}, ttl=60)
        published = await bench.get(message_id)
        lease = await bench.take_one()
        bench.advance(1)
        assert await bench.do(lease, "reject", reason="bad") == SettleResult(
            id=message_id, outcome="ok", state="pending", queue="dead", reason="bad"
        )
        assert await bench.get(message_id) == msgspec.structs.replace(
            published,
            queue="dead",
            queue_id=dead.id,
            updated_at=bench.now,
            visible_at=bench.now,
            expires_at=None,
            reason="bad",
            origin_queue="q",
        )

    async def test_a_dead_letter_is_in_exactly_one_queue_and_counted(
        self, bench: Workbench
    ) -> None:
        message_id = await put_dead_letter(bench)
        assert await bench.browse_ids() == []
        assert await bench.browse_ids("dead") == [message_id]
        left, came = await bench.status(), await bench.status("dead")
        assert (left.counts, left.bytes) == (Counts(), 0)
        assert left.totals == Totals(published=1, delivered=1, failed=1, dead_lettered=1)
        assert (came.counts, came.bytes, came.totals) == (Counts(pending=1), 4, Totals())

    async def test_a_dead_letter_is_leased_like_any_message(self, bench: Workbench) -> None:
        message_id = await put_dead_letter(bench)
        lease = await bench.take_one("dead")
        assert (lease.message.id, lease.message.delivery_count) == (message_id, 1)
        assert lease.message.first_delivered_at == bench.now
        assert (await bench.ack(lease)).outcome == "ok"

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("queue", ["q", "dead"])
    async def test_the_lease_that_ended_in_a_dead_letter_is_stale(
        self, bench: Workbench, kind: SettleKind, queue: str
    ) -> None:
        await bench.make_queue("dead")
        await bench.make_queue(dead_letter_queue="dead")
        await bench.put()
        lease = await bench.take_one()
        await bench.do(lease, "reject")
        before = await bench.everything()
        op = msgspec.structs.replace(bench.op(lease, kind, seconds=60), queue=queue)
        [result] = await bench.settle(op)
        assert result.outcome == "stale"
        assert await bench.everything() == before

    async def test_a_retry_too_many_makes_a_dead_letter(self, bench: Workbench) -> None:
        await bench.make_queue("dead")
        await bench.make_queue(dead_letter_queue="dead", max_deliveries=2)
        await bench.put()
        await bench.do(await bench.take_one(), "retry")
        result = await bench.do(await bench.take_one(), "retry", seconds=60)
        assert (result.outcome, result.state, result.queue) == ("ok", "pending", "dead")
        assert result.reason == "gave up after 2 deliveries"
        [message] = await bench.browse("dead")
        assert (message.reason, message.origin_queue) == ("gave up after 2 deliveries", "q")
        assert (message.visible_at, message.delivery_count) == (bench.now, 0)

    async def test_the_last_lapse_makes_a_dead_letter(self, bench: Workbench) -> None:
        await bench.make_queue("dead")
        await bench.make_queue(dead_letter_queue="dead", max_deliveries=1)
        await bench.put()
        lease = await bench.take_one(seconds=30)
        bench.advance(30)
        ended = Ended(
            id=lease.message.id,
            queue="q",
            how="failed",
            reason="not settled after 1 deliveries",
            moved_to="dead",
        )
        assert await bench.maintain() == Maintenance(lapsed={"q": 1}, ended=(ended,))
        [message] = await bench.browse("dead")
        assert (message.id, message.origin_queue) == (lease.message.id, "q")
        assert (message.delivery_count, message.leased_by) == (0, None)
        assert (await bench.ack(lease)).outcome == "stale"

    async def test_without_that_queue_a_message_stays_failed(self, bench: Workbench) -> None:
        await bench.make_queue(dead_letter_queue="nowhere")
        message_id = await bench.put_failed()
        message = await bench.get(message_id)
        assert (message.state, message.queue, message.origin_queue) == ("failed", "q", None)
        assert await bench.totals() == Totals(published=1, delivered=1, failed=1)

    async def test_a_queue_is_not_its_own_dead_letter_queue(self, bench: Workbench) -> None:
        await bench.make_queue(dead_letter_queue="q")
        message_id = await bench.put_failed()
        assert (await bench.get(message_id)).state == "failed"
        assert await bench.totals() == Totals(published=1, delivered=1, failed=1)

    async def test_a_message_that_failed_before_there_was_a_dead_letter_queue_stays(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        message_id = await bench.put_failed()
        await bench.make_queue("dead")
        await bench.make_queue(dead_letter_queue="dead")
        await bench.maintain()
        assert (await bench.get(message_id)).queue == "q"

    async def test_the_limits_of_the_dead_letter_queue_do_not_hold_letters_back(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue("dead", max_messages=1, max_bytes=1, overflow="drop_oldest")
        await bench.put(b"x", queue="dead")
        await bench.make_queue(dead_letter_queue="dead")
        await bench.put_failed()
        assert await bench.counts("dead") == Counts(pending=2)

    async def test_a_letter_that_fails_again_keeps_its_first_origin(self, bench: Workbench) -> None:
        await bench.make_queue("deader")
        await bench.make_queue("dead", dead_letter_queue="deader")
        await bench.make_queue(dead_letter_queue="dead")
        message_id = await bench.put_failed(reason="once")
        await bench.do(await bench.take_one("dead"), "reject", reason="twice")
        message = await bench.get(message_id)
        assert (message.queue, message.origin_queue) == ("deader", "q")
        assert message.reason == "twice"
        assert (await bench.totals("dead")).dead_lettered == 1

    async def test_a_letter_that_fails_where_there_is_no_further_queue_stays_there(
        self, bench: Workbench
    ) -> None:
        message_id = await put_dead_letter(bench)
        await bench.do(await bench.take_one("dead"), "reject")
        message = await bench.get(message_id)
        assert (message.state, message.queue, message.origin_queue) == ("failed", "dead", "q")

    async def test_a_dead_letter_keeps_its_id_and_so_its_place_in_line(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue("dead")
        await bench.make_queue(dead_letter_queue="dead")
        older = await bench.put()
        newer = await bench.put(queue="dead")
        await bench.do(await bench.take_one(), "reject")
        assert await bench.browse_ids("dead") == [older, newer]
        assert await bench.take_ids("dead") == [older, newer]

    async def test_dropping_the_dead_letter_queue_drops_its_letters(self, bench: Workbench) -> None:
        message_id = await put_dead_letter(bench)
        await bench.storage.drop_queue("dead")
        assert await bench.find(message_id) is None
        later = await bench.put_failed()
        assert (await bench.get(later)).state == "failed"

    async def test_a_letter_survives_the_queue_that_it_came_from(self, bench: Workbench) -> None:
        message_id = await put_dead_letter(bench)
        await bench.storage.drop_queue("q")
        assert await bench.take_ids("dead") == [message_id]


async def put_dead_letter(bench: Workbench) -> int:
    """Make "q" with the dead letter queue "dead", and a letter in it; return its id."""
    await bench.make_queue("dead")
    await bench.make_queue(dead_letter_queue="dead")
    return await bench.put_failed()
