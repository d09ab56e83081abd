"""Ttl: what is not worth delivering any more goes, but never from under a lease."""

from __future__ import annotations

import pytest

from broker.models import Counts, Ended, Maintenance, Message, Totals
from broker.testing.storage.bench import SettleKind, Workbench


class Expiring:
    """The rows about ttl."""

    async def test_a_message_is_leased_until_its_ttl_passes(self, bench: Workbench) -> None:
        await bench.make_queue()
        message_id = await bench.put(ttl=10)
        bench.advance(9.999)
        assert await bench.take_ids() == [message_id]

    async def test_an_expired_message_is_never_leased(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put(ttl=10)
        live = await bench.put()
        bench.advance(10)
        assert await bench.take_ids() == [live]

    async def test_many_expired_messages_in_front_keep_nobody_waiting(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        expired = await bench.put_many(50, ttl=10)
        live = await bench.put()
        bench.advance(10)
        leased: list[int] = []
        for _ in expired:
            result = await bench.lease(limit=1)
            leased += [lease.message.id for lease in result.leases]
            # Who gives up on the way says that there is more to look at.
            assert leased or result.next_visible_at == bench.now
        assert leased == [live]

    async def test_an_expired_message_is_removed_and_counted(self, bench: Workbench) -> None:
        await bench.make_queue()
        message_id = await bench.put(ttl=10)
        bench.advance(10)
        assert await bench.maintain() == Maintenance(ended=(expired(message_id),))
        assert await bench.find(message_id) is None
        status = await bench.status()
        assert (status.counts, status.bytes) == (Counts(), 0)
        assert status.totals == Totals(published=1, expired=1)

    async def test_an_expired_message_that_a_lease_came_across_is_counted_once(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.put(ttl=10)
        bench.advance(10)
        assert await bench.take() == []
        await bench.maintain()
        assert await bench.totals() == Totals(published=1, expired=1)
        assert await bench.counts() == Counts()

    async def test_an_expired_message_goes_to_the_dead_letter_queue(self, bench: Workbench) -> None:
        dead = await bench.make_queue("dead")
        await bench.make_queue(dead_letter_queue="dead")
        message_id = await bench.put(b"late", ttl=10, headers={"a": "b"})
        published_at = bench.now
        bench.advance(10)
        assert await bench.maintain() == Maintenance(ended=(expired(message_id, moved_to="dead"),))
        assert await bench.get(message_id) == Message(
            id=message_id,
            queue="dead",
            queue_id=dead.id,
            state="pending",
            body=b"late",
            content_type="application/octet-stream",
            headers={"a": "b"},
            priority=4,
            group=None,
            dedup_key=None,
            enqueued_at=published_at,
            updated_at=bench.now,
            visible_at=bench.now,
            expires_at=None,
            delivery_count=0,
            first_delivered_at=None,
            finished_at=None,
            reason="ttl passed",
            origin_queue="q",
            leased_by=None,
        )
        assert await bench.totals() == Totals(published=1, expired=1, dead_lettered=1)
        assert await bench.take_ids("dead") == [message_id]

    async def test_without_that_dead_letter_queue_it_is_removed(self, bench: Workbench) -> None:
        await bench.make_queue(dead_letter_queue="nowhere")
        message_id = await bench.put(ttl=10)
        bench.advance(10)
        assert await bench.maintain() == Maintenance(ended=(expired(message_id),))
        assert await bench.find(message_id) is None

    async def test_a_scheduled_message_expires_too(self, bench: Workbench) -> None:
        await bench.make_queue()
        message_id = await bench.put(delay=60, ttl=10)
        bench.advance(10)
        assert await bench.maintain() == Maintenance(ended=(expired(message_id),))
        assert await bench.find(message_id) is None

    async def test_a_ttl_that_ends_with_the_delay_is_never_delivered(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.put(delay=10, ttl=10)
        bench.advance(10)
        assert await bench.take() == []

    async def test_a_leased_message_does_not_expire(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put(ttl=10)
        lease = await bench.take_one(seconds=30)
        bench.advance(20)
        assert (await bench.maintain()).ended == ()
        assert await bench.get(lease.message.id) == lease.message
        assert (await bench.do(lease, "extend", seconds=30)).outcome == "ok"
        assert (await bench.ack(lease)).outcome == "ok"

    @pytest.mark.parametrize("kind", ["retry", "release"])
    async def test_a_message_that_is_given_back_after_its_ttl_expires(
        self, bench: Workbench, kind: SettleKind
    ) -> None:
        await bench.make_queue()
        await bench.put(ttl=10)
        lease = await bench.take_one(seconds=30)
        bench.advance(20)
        await bench.do(lease, kind)
        assert await bench.take() == []
        await bench.maintain()
        assert await bench.find(lease.message.id) is None
        assert (await bench.totals()).expired == 1

    async def test_a_message_that_lapses_after_its_ttl_expires(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put(ttl=10)
        lease = await bench.take_one(seconds=30)
        bench.advance(30)
        assert await bench.maintain() == Maintenance(
            lapsed={"q": 1}, ended=(expired(lease.message.id),)
        )
        assert await bench.find(lease.message.id) is None
        assert await bench.totals() == Totals(published=1, delivered=1, lapsed=1, expired=1)

    @pytest.mark.parametrize("finish", ["put_processed", "put_failed"])
    async def test_a_finished_message_does_not_expire(self, bench: Workbench, finish: str) -> None:
        await bench.make_queue()
        message_id = await getattr(bench, finish)(ttl=10)
        bench.advance(10)
        assert (await bench.maintain()).ended == ()
        assert await bench.find(message_id) is not None

    async def test_a_paused_queue_expires_too(self, bench: Workbench) -> None:
        await bench.make_queue(paused=True)
        message_id = await bench.put(ttl=10)
        bench.advance(10)
        assert await bench.maintain() == Maintenance(ended=(expired(message_id),))


def expired(message_id: int, *, moved_to: str | None = None) -> Ended:
    """Return what is told of a message of "q" whose ttl passed."""
    return Ended(id=message_id, queue="q", how="expired", reason="ttl passed", moved_to=moved_to)
