"""Settle and publish in one: all of it happens, or nothing."""

from __future__ import annotations

import pytest

from broker.errors import QueueFull, QueueNotFound
from broker.models import Counts, PublishResult, SettleResult, Totals
from broker.testing.contract import needs
from broker.testing.storage.bench import KINDS, SettleKind, Workbench


class Atomicity:
    """The rows about settle with publish."""

    async def test_settle_with_publish_does_both(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.make_queue("next")
        await bench.put()
        lease = await bench.take_one()
        results = await bench.settle(
            bench.op(lease, "ack"), publish=[bench.message(b"result", queue="next")]
        )
        assert results == [
            SettleResult(id=lease.message.id, outcome="ok", state="processed", queue="q")
        ]
        assert await bench.counts() == Counts(processed=1)
        assert (await bench.take_one("next")).message.body == b"result"
        assert await bench.totals("next") == Totals(published=1, delivered=1)

    @pytest.mark.parametrize("kind", KINDS)
    async def test_nothing_happens_when_one_operation_is_refused(
        self, bench: Workbench, kind: SettleKind
    ) -> None:
        await bench.make_queue(dead_letter_queue="dead", max_deliveries=1)
        await bench.make_queue("dead")
        await bench.put_many(2)
        [good, bad] = await bench.take()
        await bench.do(bad, "release")
        before = await bench.everything()
        results = await bench.settle(
            bench.op(good, kind, seconds=60), bench.op(bad, "ack"), publish=[bench.message()]
        )
        assert [result.outcome for result in results] == ["ok", "stale"]
        assert await bench.everything() == before
        assert (await bench.ack(good)).outcome == "ok"

    async def test_an_ack_that_would_remove_is_undone_too(self, bench: Workbench) -> None:
        await bench.make_queue(retain_processed=0)
        await bench.put_many(2)
        [good, bad] = await bench.take()
        await bench.do(bad, "release")
        before = await bench.everything()
        results = await bench.settle(
            bench.op(good, "ack"), bench.op(bad, "ack"), publish=[bench.message()]
        )
        assert [result.outcome for result in results] == ["ok", "stale"]
        assert await bench.everything() == before
        assert (await bench.ack(good)).outcome == "ok"

    @pytest.mark.parametrize("kind", KINDS)
    async def test_nothing_happens_when_the_queue_is_full(
        self, bench: Workbench, kind: SettleKind
    ) -> None:
        await bench.make_queue(dead_letter_queue="dead")
        await bench.make_queue("dead")
        await bench.make_queue("full", max_messages=1)
        await bench.put(queue="full")
        await bench.put()
        lease = await bench.take_one()
        before = await bench.everything()
        with pytest.raises(QueueFull, match=r'^queue "full" is full: max_messages is 1$'):
            await bench.settle(
                bench.op(lease, kind, seconds=60),
                publish=[bench.message(queue="dead"), bench.message(queue="full")],
            )
        assert await bench.everything() == before
        assert (await bench.ack(lease)).outcome == "ok"

    async def test_nothing_happens_when_there_is_no_such_queue(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        before = await bench.everything()
        with pytest.raises(QueueNotFound, match=r'^there is no queue "nowhere"$'):
            await bench.settle(
                bench.op(lease, "ack"),
                publish=[bench.message(), bench.message(queue="nowhere")],
            )
        assert await bench.everything() == before

    async def test_a_message_that_is_given_back_counts_against_the_limit(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue(max_messages=1)
        await bench.put()
        lease = await bench.take_one()
        with pytest.raises(QueueFull):
            await bench.settle(bench.op(lease, "retry"), publish=[bench.message()])
        assert await bench.counts() == Counts(processing=1)
        await bench.settle(bench.op(lease, "ack"), publish=[bench.message()])
        assert await bench.counts() == Counts(pending=1, processed=1)

    async def test_publish_alone_is_allowed(self, bench: Workbench) -> None:
        await bench.make_queue()
        assert await bench.settle(publish=[bench.message(b"alone")]) == []
        assert [message.body for message in await bench.browse()] == [b"alone"]

    @needs("dedup")
    async def test_a_duplicate_is_no_reason_to_refuse(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        await bench.put(dedup_key="k")
        results = await bench.settle(bench.op(lease, "ack"), publish=[bench.message(dedup_key="k")])
        assert [result.outcome for result in results] == ["ok"]
        assert await bench.counts() == Counts(pending=1, processed=1)

    @needs("dedup")
    async def test_what_did_not_happen_leaves_no_dedup_key(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        await bench.do(lease, "retry")
        await bench.settle(bench.op(lease, "ack"), publish=[bench.message(dedup_key="k")])
        [result] = await bench.publish(bench.message(dedup_key="k"))
        assert result == PublishResult(result.id, duplicate=False)

    async def test_a_lapsed_lease_can_be_acked_with_publish(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one(seconds=30)
        bench.advance(30)
        [result] = await bench.settle(bench.op(lease, "ack"), publish=[bench.message()])
        assert result.outcome == "ok"
        assert await bench.counts() == Counts(pending=1, processed=1)
