"""Maintain: retention, how much is done at a time, and when there is more to do."""

from __future__ import annotations

from collections import Counter

import pytest

from broker.models import Counts, Maintenance, Totals
from broker.testing.storage.bench import Workbench

DAY = 86_400


class Upkeep:
    """The rows about retention and about maintain itself."""

    async def test_a_processed_message_is_retained_and_then_removed(self, bench: Workbench) -> None:
        await bench.make_queue(retain_processed=60)
        message_id = await bench.put_processed()
        bench.advance(59.999)
        assert (await bench.maintain()).retired == 0
        assert (await bench.get(message_id)).state == "processed"
        bench.advance(0.001)
        assert await bench.maintain() == Maintenance(retired=1)
        assert await bench.find(message_id) is None
        status = await bench.status()
        assert (status.counts, status.bytes) == (Counts(), 0)
        assert status.totals == Totals(published=1, delivered=1, acked=1, retired=1)

    async def test_a_failed_message_is_retained_and_then_removed(self, bench: Workbench) -> None:
        await bench.make_queue(retain_failed=60, retain_processed=10)
        message_id = await bench.put_failed()
        bench.advance(59.999)
        assert (await bench.maintain()).retired == 0
        bench.advance(0.001)
        assert await bench.maintain() == Maintenance(retired=1)
        assert await bench.find(message_id) is None

    async def test_retention_counts_from_the_end_of_a_message(self, bench: Workbench) -> None:
        await bench.make_queue(retain_processed=60)
        await bench.put()
        lease = await bench.take_one(seconds=100)
        bench.advance(70)
        await bench.ack(lease)
        assert (await bench.maintain()).retired == 0
        bench.advance(60)
        assert (await bench.maintain()).retired == 1

    async def test_without_a_retention_finished_messages_are_kept(self, bench: Workbench) -> None:
        await bench.make_queue(retain_processed=None, retain_failed=None)
        ids = [await bench.put_processed(), await bench.put_failed()]
        bench.advance(3650 * DAY)
        assert await bench.maintain() == Maintenance()
        assert await bench.browse_ids() == ids

    async def test_retention_follows_the_policy_of_the_day(self, bench: Workbench) -> None:
        await bench.make_queue(retain_processed=None)
        await bench.put_processed()
        bench.advance(60)
        await bench.make_queue(retain_processed=60)
        assert (await bench.maintain()).retired == 1

    async def test_unfinished_messages_are_not_retired(self, bench: Workbench) -> None:
        await bench.make_queue(retain_processed=1, retain_failed=1)
        await bench.put_many(2)
        await bench.take(limit=1, seconds=DAY)
        bench.advance(10)
        assert (await bench.maintain()).retired == 0
        assert await bench.counts() == Counts(pending=1, processing=1)

    async def test_a_paused_queue_is_maintained(self, bench: Workbench) -> None:
        await bench.make_queue(retain_processed=10, max_deliveries=1, retain_failed=None)
        await bench.put_processed()
        await bench.put()
        await bench.take_one(seconds=10)
        await bench.make_queue(
            retain_processed=10, max_deliveries=1, retain_failed=None, paused=True
        )
        bench.advance(10)
        done = await bench.maintain()
        assert (done.lapsed, done.retired) == ({"q": 1}, 1)
        assert [(one.queue, one.how) for one in done.ended] == [("q", "failed")]

    async def test_nothing_to_do_does_nothing(self, bench: Workbench) -> None:
        assert await bench.maintain() == Maintenance()
        await bench.make_queue()
        await bench.put()
        before = await bench.everything()
        assert await bench.maintain() == Maintenance()
        assert await bench.everything() == before

    async def test_maintain_again_does_nothing(self, bench: Workbench) -> None:
        await put_due(bench)
        first = await bench.maintain()
        assert (first.lapsed, first.retired, first.next_due) == ({"q": 3}, 2, None)
        assert Counter(one.how for one in first.ended) == {"failed": 2, "expired": 2}
        before = await bench.everything()
        assert await bench.maintain() == Maintenance()
        assert await bench.everything() == before

    @pytest.mark.parametrize(
        "noticed", [pytest.param(False, id="unnoticed"), pytest.param(True, id="noticed")]
    )
    async def test_maintain_does_no_more_than_its_limit(
        self, bench: Workbench, noticed: bool
    ) -> None:
        await put_due(bench)
        if noticed:
            await bench.status()
        done: Counter[str] = Counter()
        for _ in range(20):
            result = await bench.maintain(limit=1)
            ended = [one.how for one in result.ended] + ["retired"] * result.retired
            assert len(ended) <= 1
            done.update(ended)
            if result.next_due is None:
                break
            assert result.next_due <= bench.now
        assert done == {"failed": 2, "expired": 2, "retired": 2}
        assert await bench.counts() == Counts(pending=1, failed=2)
        assert (await bench.totals()).lapsed == 3

    @pytest.mark.parametrize(
        "noticed", [pytest.param(False, id="unnoticed"), pytest.param(True, id="noticed")]
    )
    async def test_next_due_is_not_in_the_future_while_lapses_are_left(
        self, bench: Workbench, noticed: bool
    ) -> None:
        await bench.make_queue(max_deliveries=1, retain_failed=None)
        await bench.put_many(2)
        await bench.take(seconds=30)
        bench.advance(30)
        if noticed:
            await bench.status()
        due = (await bench.maintain(limit=1)).next_due
        assert due is not None
        assert due <= bench.now
        await bench.maintain()
        assert await bench.counts() == Counts(failed=2)

    async def test_next_due_is_the_end_of_the_next_lease(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.make_queue("other")
        await bench.put()
        await bench.put(queue="other")
        await bench.take_one(seconds=30)
        await bench.take_one("other", seconds=20)
        assert (await bench.maintain()).next_due == bench.now + 20_000

    async def test_next_due_is_the_end_of_the_next_ttl(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put(ttl=20)
        await bench.put(ttl=10)
        assert (await bench.maintain()).next_due == bench.now + 10_000

    async def test_next_due_is_the_end_of_the_next_retention(self, bench: Workbench) -> None:
        await bench.make_queue(retain_processed=60, retain_failed=50)
        await bench.put_processed()
        assert (await bench.maintain()).next_due == bench.now + 60_000
        await bench.put_failed()
        assert (await bench.maintain()).next_due == bench.now + 50_000


async def put_due(bench: Workbench) -> None:
    """Make a queue where three leases lapse, two for the last time, and two of all else is due."""
    await bench.make_queue(max_deliveries=2, retain_processed=30, retain_failed=None)
    for _ in range(2):
        await bench.put_processed()
    await bench.put_many(2)
    for lease in await bench.take():
        await bench.do(lease, "retry")
    await bench.put()
    await bench.take(seconds=30)
    for _ in range(2):
        await bench.put(ttl=30)
    bench.advance(30)
