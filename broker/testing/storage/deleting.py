"""Deleting: explicit removal, counted, of what a query names."""

from __future__ import annotations

from broker.models import Counts, Totals
from broker.testing.contract import needs
from broker.testing.storage.bench import Workbench


class Deleting:
    """The rows about bulk delete."""

    async def test_a_deleted_message_is_gone_and_counted(self, bench: Workbench) -> None:
        await bench.make_queue()
        kept, gone = await bench.put_many(2)
        assert await bench.delete(ids=(gone,)) == 1
        assert await bench.browse_ids() == [kept]
        status = await bench.status()
        assert (status.counts, status.bytes) == (Counts(pending=1), 1)
        assert status.totals == Totals(published=2, deleted=1)

    async def test_deleting_what_is_gone_does_nothing(self, bench: Workbench) -> None:
        await bench.make_queue()
        message_id = await bench.put()
        assert await bench.delete(ids=(message_id, 4711)) == 1
        assert await bench.delete(ids=(message_id, 4711)) == 0
        assert await bench.delete(ids=()) == 0
        assert (await bench.totals()).deleted == 1

    async def test_a_leased_message_can_be_deleted(self, bench: Workbench) -> None:
        await bench.make_queue(max_in_flight=1)
        await bench.put()
        lease = await bench.take_one()
        assert await bench.delete(ids=(lease.message.id,)) == 1
        assert (await bench.ack(lease)).outcome == "not_found"
        next_id = await bench.put()
        assert await bench.take_ids() == [next_id]

    async def test_ids_may_lie_in_several_queues(self, bench: Workbench) -> None:
        await bench.make_queue("a")
        await bench.make_queue("b")
        ids = (await bench.put(queue="a"), await bench.put(queue="b"))
        assert await bench.delete(ids=ids) == 2
        assert (await bench.totals("a")).deleted == (await bench.totals("b")).deleted == 1

    async def test_a_purge_takes_the_states_it_names(self, bench: Workbench) -> None:
        await bench.make_queue()
        processed, failed = await bench.put_processed(), await bench.put_failed()
        leased = await bench.put()
        await bench.take_one()
        await bench.put(delay=60)
        visible = await bench.put()
        assert await bench.delete(queue="q", states=("scheduled",)) == 1
        assert await bench.browse_ids() == [processed, failed, leased, visible]
        assert await bench.delete(queue="q", states=("pending", "failed")) == 2
        assert await bench.browse_ids() == [processed, leased]
        assert await bench.delete(queue="q", states=("processed",)) == 1
        assert await bench.browse_ids() == [leased]

    async def test_a_purge_of_pending_takes_scheduled_messages_too(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        await bench.put(delay=60)
        assert await bench.delete(queue="q", states=("pending",)) == 2
        assert await bench.counts() == Counts()

    async def test_a_purge_without_states_takes_everything(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.make_queue("other")
        await bench.put_processed()
        await bench.put_failed()
        await bench.put_many(2)
        await bench.take(limit=1)
        kept = await bench.put(queue="other")
        assert await bench.delete(queue="q") == 4
        status = await bench.status()
        assert (status.counts, status.bytes, status.totals.deleted) == (Counts(), 0, 4)
        assert await bench.browse_ids("other") == [kept]

    async def test_no_more_than_the_limit_are_deleted_lowest_ids_first(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        ids = await bench.put_many(5)
        assert await bench.delete(queue="q", limit=2) == 2
        assert await bench.browse_ids() == ids[2:]
        assert await bench.delete(ids=tuple(reversed(ids)), limit=2) == 2
        assert await bench.browse_ids() == ids[4:]

    async def test_a_purge_may_start_after_an_id(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = await bench.put_many(4)
        assert await bench.delete(queue="q", after=ids[1]) == 2
        assert await bench.browse_ids() == ids[:2]

    async def test_a_purge_may_take_only_what_was_finished_long_ago(self, bench: Workbench) -> None:
        await bench.make_queue()
        old_failed, old_processed = await bench.put_failed(), await bench.put_processed()
        bench.advance(10)
        new_processed, new_failed = await bench.put_processed(), await bench.put_failed()
        pending = await bench.put()
        before = bench.now
        assert await bench.delete(queue="q", states=("failed",), finished_before=before) == 1
        assert await bench.browse_ids() == [old_processed, new_processed, new_failed, pending]
        assert await bench.delete(queue="q", finished_before=before - 10_000) == 0
        assert await bench.delete(queue="q", finished_before=before + 1, limit=2) == 2
        assert await bench.delete(queue="q", finished_before=before + 1) == 1
        assert await bench.browse_ids() == [pending]
        assert (await bench.totals()).deleted == 4
        assert old_failed not in await bench.browse_ids()

    @needs("search")
    async def test_a_purge_may_take_what_contains_a_text(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put(b"apple")
        kept = await bench.put(b"pear")
        assert await bench.delete(queue="q", text="app") == 1
        assert await bench.browse_ids() == [kept]

    async def test_ids_are_never_used_again(self, bench: Workbench) -> None:
        await bench.make_queue()
        last = (await bench.put_many(3))[-1]
        await bench.delete(queue="q")
        assert await bench.put() > last
