"""Settling: what each operation does to a message under a live lease."""

from __future__ import annotations

import msgspec

from broker.models import Counts, SettleResult, Totals
from broker.testing.storage.bench import KINDS_BUT_ACK, Workbench

TWELVE_HOURS = 43_200


class Settling:
    """The rows about ack, retry, release, reject and extend."""

    async def test_ack_finishes_a_message(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one(owner="ann")
        bench.advance(1)
        assert await bench.ack(lease) == SettleResult(
            id=lease.message.id, outcome="ok", state="processed", queue="q"
        )
        message = await bench.get(lease.message.id)
        assert (message.state, message.finished_at) == ("processed", bench.now)
        assert (message.updated_at, message.leased_by) == (bench.now, "ann")
        assert await bench.counts() == Counts(processed=1)
        assert await bench.totals() == Totals(published=1, delivered=1, acked=1)

    async def test_an_acked_message_never_comes_back(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        await bench.ack(await bench.take_one(seconds=30))
        bench.advance(31)
        await bench.maintain()
        assert await bench.take() == []

    async def test_the_same_ack_again_is_ok_and_counts_once(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        first = await bench.ack(lease)
        bench.advance(60)
        before = await bench.everything()
        assert await bench.ack(lease) == first
        assert await bench.everything() == before
        assert (await bench.totals()).acked == 1

    async def test_ack_removes_a_message_that_is_not_retained(self, bench: Workbench) -> None:
        await bench.make_queue(retain_processed=0)
        await bench.put()
        lease = await bench.take_one()
        assert await bench.ack(lease) == SettleResult(id=lease.message.id, outcome="ok")
        assert await bench.find(lease.message.id) is None
        status = await bench.status()
        assert (status.counts, status.bytes, status.totals.acked) == (Counts(), 0, 1)
        assert (await bench.ack(lease)).outcome == "not_found"

    async def test_retry_brings_a_message_back_at_once(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        bench.advance(1)
        assert await bench.do(lease, "retry", reason="busy") == SettleResult(
            id=lease.message.id, outcome="ok", state="pending", queue="q", visible_at=bench.now
        )
        assert await bench.get(lease.message.id) == msgspec.structs.replace(
            lease.message,
            state="pending",
            updated_at=bench.now,
            visible_at=bench.now,
            reason="busy",
            leased_by=None,
        )
        assert await bench.counts() == Counts(pending=1)
        assert await bench.totals() == Totals(published=1, delivered=1, retried=1)

    async def test_retry_with_a_delay_waits_for_it(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        result = await bench.do(lease, "retry", seconds=10)
        assert result.visible_at == bench.now + 10_000
        assert await bench.counts() == Counts(pending=1, scheduled=1)
        bench.advance(9.999)
        assert await bench.take() == []
        bench.advance(0.001)
        assert (await bench.take_one()).message.delivery_count == 2

    async def test_retry_without_a_reason_keeps_the_last_one(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        await bench.do(await bench.take_one(), "retry", reason="busy")
        await bench.do(await bench.take_one(), "retry")
        [message] = await bench.browse()
        assert message.reason == "busy"

    async def test_retry_at_max_deliveries_fails_at_once(self, bench: Workbench) -> None:
        await bench.make_queue(max_deliveries=2)
        await bench.put()
        await bench.do(await bench.take_one(), "retry")
        lease = await bench.take_one()
        result = await bench.do(lease, "retry", seconds=10)
        assert (result.outcome, result.state, result.queue) == ("ok", "failed", "q")
        message = await bench.get(lease.message.id)
        assert (message.state, message.reason) == ("failed", "gave up after 2 deliveries")
        assert message.finished_at == bench.now
        assert await bench.totals() == Totals(published=1, delivered=2, retried=1, failed=1)

    async def test_retry_at_max_deliveries_keeps_the_reason_that_was_given(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue(max_deliveries=1)
        await bench.put()
        lease = await bench.take_one()
        await bench.do(lease, "retry", reason="broken")
        assert (await bench.get(lease.message.id)).reason == "broken"

    async def test_without_max_deliveries_retry_never_fails(self, bench: Workbench) -> None:
        await bench.make_queue(max_deliveries=None)
        await bench.put()
        for _ in range(20):
            result = await bench.do(await bench.take_one(), "retry")
            assert result.state == "pending"
        assert (await bench.take_one()).message.delivery_count == 21

    async def test_release_gives_a_message_back_as_if_not_delivered(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        bench.advance(1)
        result = await bench.do(lease, "release")
        assert (result.outcome, result.state, result.queue) == ("ok", "pending", "q")
        assert await bench.get(lease.message.id) == msgspec.structs.replace(
            lease.message,
            state="pending",
            updated_at=bench.now,
            visible_at=bench.now,
            delivery_count=0,
            first_delivered_at=None,
            leased_by=None,
        )
        assert await bench.counts() == Counts(pending=1)
        assert await bench.totals() == Totals(published=1, delivered=1, released=1)

    async def test_release_keeps_earlier_deliveries(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        first = await bench.take_one()
        await bench.do(first, "retry")
        bench.advance(1)
        await bench.do(await bench.take_one(), "release")
        message = await bench.get(first.message.id)
        assert message.delivery_count == 1
        assert message.first_delivered_at == first.message.first_delivered_at

    async def test_a_released_last_delivery_may_be_delivered_again(self, bench: Workbench) -> None:
        await bench.make_queue(max_deliveries=1)
        await bench.put()
        await bench.do(await bench.take_one(), "release")
        assert (await bench.take_one()).message.delivery_count == 1

    async def test_reject_fails_a_message_for_good(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        bench.advance(1)
        assert await bench.do(lease, "reject", reason="unreadable") == SettleResult(
            id=lease.message.id, outcome="ok", state="failed", queue="q", reason="unreadable"
        )
        message = await bench.get(lease.message.id)
        assert (message.state, message.reason) == ("failed", "unreadable")
        assert (message.finished_at, message.updated_at) == (bench.now, bench.now)
        assert await bench.counts() == Counts(failed=1)
        assert await bench.totals() == Totals(published=1, delivered=1, failed=1)
        bench.advance(31)
        await bench.maintain()
        assert await bench.take() == []

    async def test_reject_without_a_reason_says_rejected(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        await bench.do(lease, "reject")
        assert (await bench.get(lease.message.id)).reason == "rejected"

    async def test_extend_makes_a_lease_longer(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one(seconds=30)
        bench.advance(20)
        until = bench.now + 30_000
        assert await bench.do(lease, "extend", seconds=30) == SettleResult(
            id=lease.message.id, outcome="ok", state="processing", queue="q", visible_at=until
        )
        assert (await bench.get(lease.message.id)).visible_at == until
        bench.advance(29.999)
        assert await bench.take() == []
        bench.advance(0.001)
        assert (await bench.take_one()).message.delivery_count == 2

    async def test_extend_never_makes_a_lease_shorter(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one(seconds=30)
        result = await bench.do(lease, "extend", seconds=5)
        assert (result.outcome, result.visible_at) == ("ok", lease.message.visible_at)
        assert (await bench.get(lease.message.id)).visible_at == lease.message.visible_at

    async def test_extend_without_a_time_leaves_the_lease_as_it_is(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one(seconds=30)
        result = await bench.do(lease, "extend")
        assert (result.outcome, result.visible_at) == ("ok", lease.message.visible_at)
        assert await bench.get(lease.message.id) == lease.message

    async def test_a_lease_is_extended_to_twelve_hours_in_all(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one(seconds=30)
        end = bench.now + TWELVE_HOURS * 1000
        for _ in range(2):
            bench.advance(20)
            result = await bench.do(lease, "extend", seconds=TWELVE_HOURS)
            assert (result.outcome, result.visible_at) == ("ok", end)

    async def test_twelve_hours_begin_anew_with_the_next_lease(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        await bench.do(await bench.take_one(), "retry")
        bench.advance(3600)
        result = await bench.do(await bench.take_one(), "extend", seconds=TWELVE_HOURS)
        assert result.visible_at == bench.now + TWELVE_HOURS * 1000

    async def test_an_extended_lease_can_be_acked(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one(seconds=30)
        await bench.do(lease, "extend", seconds=60)
        bench.advance(59)
        assert (await bench.ack(lease)).outcome == "ok"

    async def test_without_a_token_the_live_lease_is_settled(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = await bench.put_many(5)
        leases = await bench.take()
        await bench.do(leases[0], "ack", fenced=False)
        for lease, kind in zip(leases[1:], KINDS_BUT_ACK, strict=True):
            assert (await bench.do(lease, kind, seconds=60, fenced=False)).outcome == "ok"
        states = [(await bench.get(message_id)).state for message_id in ids]
        assert states == ["processed", "pending", "pending", "failed", "processing"]
