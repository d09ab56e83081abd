"""Lapses: a lease that nobody ends is over by itself, whether or not anybody looked."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from broker.models import Counts, Ended, Lease, LeaseResult, Maintenance, SettleResult, Totals
from broker.testing.storage.bench import KINDS_BUT_ACK, SettleKind, Workbench

looked_after = pytest.mark.parametrize(
    "maintained", [pytest.param(False, id="unnoticed"), pytest.param(True, id="maintained")]
)


class Lapsing:
    """The rows about lapsed leases and max_deliveries."""

    async def test_a_lapsed_message_is_leased_again(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        await bench.take_one(seconds=30)
        bench.advance(29.999)
        assert await bench.take() == []
        bench.advance(0.001)
        assert (await bench.take_one()).message.delivery_count == 2

    @looked_after
    async def test_a_lapsed_message_counts_as_pending(
        self, bench: Workbench, maintained: bool
    ) -> None:
        lease = await lapse(bench, maintained=maintained)
        status = await bench.status()
        assert status.counts == Counts(pending=1)
        assert status.oldest_at == lease.message.visible_at

    @looked_after
    async def test_a_lapsed_message_reads_as_pending(
        self, bench: Workbench, maintained: bool
    ) -> None:
        lease = await lapse(bench, maintained=maintained)
        assert (await bench.get(lease.message.id)).state == "pending"
        assert await bench.browse_ids("q", "pending") == [lease.message.id]
        assert await bench.browse_ids("q", "processing", "scheduled") == []

    @looked_after
    async def test_a_lapsed_message_is_purged_as_pending(
        self, bench: Workbench, maintained: bool
    ) -> None:
        await lapse(bench, maintained=maintained)
        assert await bench.delete(queue="q", states=("processing",)) == 0
        assert await bench.delete(queue="q", states=("pending",)) == 1
        assert await bench.totals() == Totals(published=1, delivered=1, lapsed=1, deleted=1)

    async def test_a_lapse_is_noticed_and_counted_once(self, bench: Workbench) -> None:
        await lapse(bench, maintained=False)
        assert await bench.maintain() == Maintenance(lapsed={"q": 1})
        assert await bench.maintain() == Maintenance()
        await bench.make_queue()
        assert await bench.maintain() == Maintenance()
        assert await bench.totals() == Totals(published=1, delivered=1, lapsed=1)
        await bench.take_one()
        await bench.maintain()
        assert (await bench.totals()).lapsed == 1

    async def test_a_lapse_that_only_a_lease_noticed_is_counted(self, bench: Workbench) -> None:
        await lapse(bench, maintained=False)
        lease = await bench.take_one()
        await bench.maintain()
        assert await bench.totals() == Totals(published=1, delivered=2, lapsed=1)
        await bench.do(lease, "retry")
        assert (await bench.maintain()).lapsed == {}
        assert (await bench.totals()).lapsed == 1

    @looked_after
    async def test_a_late_ack_is_taken(self, bench: Workbench, maintained: bool) -> None:
        lease = await lapse(bench, maintained=maintained)
        expected = SettleResult(id=lease.message.id, outcome="ok", state="processed", queue="q")
        assert await bench.ack(lease) == expected
        assert await bench.ack(lease) == expected
        assert await bench.counts() == Counts(processed=1)
        assert await bench.totals() == Totals(published=1, delivered=1, lapsed=1, acked=1)
        assert await bench.take() == []

    @looked_after
    async def test_a_late_ack_needs_no_token(self, bench: Workbench, maintained: bool) -> None:
        lease = await lapse(bench, maintained=maintained)
        assert (await bench.do(lease, "ack", fenced=False)).outcome == "ok"
        assert await bench.counts() == Counts(processed=1)

    @looked_after
    @pytest.mark.parametrize("fenced", [True, False])
    @pytest.mark.parametrize("kind", KINDS_BUT_ACK)
    async def test_nothing_but_an_ack_is_taken_late(
        self, bench: Workbench, kind: SettleKind, fenced: bool, maintained: bool
    ) -> None:
        lease = await lapse(bench, maintained=maintained)
        result = await bench.do(lease, kind, seconds=60, fenced=fenced)
        assert result == SettleResult(id=lease.message.id, outcome="expired")
        assert await bench.counts() == Counts(pending=1)
        assert (await bench.ack(lease)).outcome == "ok"

    async def test_a_late_ack_is_stale_once_the_message_was_leased_again(
        self, bench: Workbench
    ) -> None:
        old = await lapse(bench, maintained=False)
        new = await bench.take_one()
        assert (await bench.ack(old)).outcome == "stale"
        assert (await bench.ack(new)).outcome == "ok"
        assert (await bench.ack(old)).outcome == "stale"

    async def test_a_stale_receipt_stays_stale_when_the_next_lease_lapses(
        self, bench: Workbench
    ) -> None:
        old = await lapse(bench, maintained=False)
        await bench.take_one(seconds=30)
        bench.advance(30)
        assert (await bench.ack(old)).outcome == "stale"

    @looked_after
    async def test_after_its_last_delivery_a_lapsed_message_is_never_leased(
        self, bench: Workbench, maintained: bool
    ) -> None:
        lease = await lapse(bench, maintained=maintained, max_deliveries=1)
        ended = () if maintained else (exhausted(lease.message.id, deliveries=1),)
        assert await bench.lease() == LeaseResult(leases=[], ended=ended)
        assert (await bench.browse())[0].state == "failed"

    async def test_after_its_last_delivery_a_lapsed_message_fails(self, bench: Workbench) -> None:
        await bench.make_queue(max_deliveries=2, retain_failed=None)
        await bench.put()
        await bench.do(await bench.take_one(), "retry")
        lease = await bench.take_one(seconds=30, owner="ann")
        bench.advance(30)
        ended = exhausted(lease.message.id, deliveries=2)
        assert await bench.maintain() == Maintenance(lapsed={"q": 1}, ended=(ended,))
        message = await bench.get(lease.message.id)
        assert (message.state, message.finished_at) == ("failed", bench.now)
        assert (message.reason, message.delivery_count) == ("not settled after 2 deliveries", 2)
        assert await bench.counts() == Counts(failed=1)
        assert await bench.totals() == Totals(
            published=1, delivered=2, retried=1, lapsed=1, failed=1
        )

    async def test_a_last_lapse_that_was_noticed_already_fails_too(self, bench: Workbench) -> None:
        lease = await lapse(bench, maintained=False, max_deliveries=1, retain_failed=None)
        await bench.everything()
        assert (await bench.maintain()).ended == (exhausted(lease.message.id, deliveries=1),)
        assert await bench.counts() == Counts(failed=1)

    async def test_raising_max_deliveries_saves_what_lapsed(self, bench: Workbench) -> None:
        lease = await lapse(bench, maintained=False, max_deliveries=1)
        await bench.everything()
        await bench.make_queue(max_deliveries=2)
        assert (await bench.maintain()).ended == ()
        assert await bench.take_ids() == [lease.message.id]

    async def test_the_last_late_ack_wins_over_the_failure(self, bench: Workbench) -> None:
        lease = await lapse(bench, maintained=False, max_deliveries=1, retain_processed=None)
        assert (await bench.ack(lease)).outcome == "ok"
        assert (await bench.maintain()).ended == ()
        assert await bench.counts() == Counts(processed=1)

    async def test_a_failed_message_takes_no_late_ack(self, bench: Workbench) -> None:
        lease = await lapse(bench, maintained=True, max_deliveries=1)
        assert (await bench.ack(lease)).outcome == "stale"
        assert await bench.counts() == Counts(failed=1)

    async def test_lowering_max_deliveries_ends_what_was_delivered_more_often(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.put()
        for _ in range(2):
            await bench.do(await bench.take_one(), "retry")
        fresh = await bench.put()
        await bench.make_queue(max_deliveries=2)
        assert await bench.take_ids() == [fresh]
        [message] = await bench.browse(states=("failed",))
        assert (message.reason, message.delivery_count) == ("not settled after 2 deliveries", 2)

    async def test_without_max_deliveries_a_message_lapses_for_ever(self, bench: Workbench) -> None:
        await bench.make_queue(max_deliveries=None)
        await bench.put()
        for count in range(1, 21):
            assert (await bench.take_one(seconds=30)).message.delivery_count == count
            bench.advance(30)
            await bench.maintain()
        assert (await bench.totals()).lapsed == 20

    async def test_a_live_lease_is_left_alone(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one(seconds=30)
        bench.advance(29.999)
        assert await bench.maintain() == Maintenance(next_due=lease.message.visible_at)
        assert await bench.get(lease.message.id) == lease.message

    async def test_a_lapsed_message_keeps_its_delivery_count_and_first_delivery(
        self, bench: Workbench
    ) -> None:
        lease = await lapse(bench, maintained=True)
        message = await bench.get(lease.message.id)
        # A storage may notice the lapse when it likes, and forget the owner then or later.
        assert message == msgspec.structs.replace(
            lease.message,
            state="pending",
            updated_at=message.updated_at,
            visible_at=message.visible_at,
            leased_by=message.leased_by,
        )
        assert message.visible_at <= bench.now


async def lapse(bench: Workbench, *, maintained: bool, **policy: Any) -> Lease:
    """Make a queue with one message whose lease of 30 seconds is just over."""
    await bench.make_queue(**policy)
    await bench.put()
    lease = await bench.take_one(seconds=30)
    bench.advance(30)
    if maintained:
        await bench.maintain()
    return lease


def exhausted(message_id: int, *, deliveries: int) -> Ended:
    """Return what is told of a message of "q" whose last lease lapsed."""
    reason = f"not settled after {deliveries} deliveries"
    return Ended(id=message_id, queue="q", how="failed", reason=reason)
