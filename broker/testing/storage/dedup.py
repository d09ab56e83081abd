"""Dedup: publishing the same thing twice stays one message, for a while."""

from __future__ import annotations

import pytest

from broker.errors import QueueFull
from broker.models import Counts, PublishResult, Totals
from broker.testing.contract import lacks, needs
from broker.testing.storage.bench import Workbench


class Dedup:
    """The rows about dedup_key and dedup_window."""

    @needs("dedup")
    async def test_a_duplicate_answers_the_first_id_and_counts_nothing(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        first = await bench.put(b"first", dedup_key="k")
        before = await bench.everything()
        [result] = await bench.publish(bench.message(b"second", dedup_key="k"))
        assert result == PublishResult(first, duplicate=True)
        assert await bench.everything() == before
        assert await bench.totals() == Totals(published=1)

    @needs("dedup")
    async def test_a_key_is_forgotten_after_its_window(self, bench: Workbench) -> None:
        await bench.make_queue(dedup_window=60)
        first = await bench.put(dedup_key="k")
        bench.advance(59.999)
        assert await bench.put(dedup_key="k") == first
        bench.advance(0.001)
        [result] = await bench.publish(bench.message(dedup_key="k"))
        assert result == PublishResult(result.id, duplicate=False)
        assert result.id > first

    @needs("dedup")
    async def test_a_key_that_was_used_anew_is_remembered_anew(self, bench: Workbench) -> None:
        await bench.make_queue(dedup_window=60)
        await bench.put(dedup_key="k")
        bench.advance(60)
        second = await bench.put(dedup_key="k")
        bench.advance(59.999)
        assert await bench.put(dedup_key="k") == second

    @needs("dedup")
    async def test_maintain_forgets_no_key_before_its_time(self, bench: Workbench) -> None:
        await bench.make_queue(dedup_window=60)
        first = await bench.put(dedup_key="k")
        bench.advance(59.999)
        await bench.maintain()
        assert await bench.put(dedup_key="k") == first
        bench.advance(0.001)
        await bench.maintain()
        assert await bench.put(dedup_key="k") > first

    @needs("dedup")
    async def test_other_keys_and_no_keys_are_no_duplicates(self, bench: Workbench) -> None:
        await bench.make_queue()
        keys = ["k", "K", "k ", "", "\u043a\u043b\u044e\u0447", None, None]
        ids = [await bench.put(dedup_key=key) for key in keys]
        assert len(set(ids)) == len(keys)

    @needs("dedup")
    async def test_keys_of_other_queues_do_not_matter(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.make_queue("other")
        results = await bench.publish(
            bench.message(dedup_key="k"), bench.message(queue="other", dedup_key="k")
        )
        results += await bench.publish(bench.message(dedup_key="l"))
        results += await bench.publish(bench.message(queue="other", dedup_key="l"))
        assert [result.duplicate for result in results] == [False] * 4

    @needs("dedup")
    async def test_duplicates_in_one_batch_are_found(self, bench: Workbench) -> None:
        await bench.make_queue()
        first, second, third = await bench.publish(
            bench.message(b"1", dedup_key="k"),
            bench.message(b"2"),
            bench.message(b"3", dedup_key="k"),
        )
        assert third == PublishResult(first.id, duplicate=True)
        assert not first.duplicate
        assert await bench.browse_ids() == [first.id, second.id]
        assert await bench.totals() == Totals(published=2)

    @needs("dedup")
    async def test_a_key_outlives_an_ack_and_the_removal_of_the_message(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue(retain_processed=0)
        first = await bench.put_processed(dedup_key="k")
        assert await bench.find(first) is None
        [result] = await bench.publish(bench.message(dedup_key="k"))
        assert result == PublishResult(first, duplicate=True)

    @needs("dedup")
    async def test_a_key_outlives_a_purge(self, bench: Workbench) -> None:
        await bench.make_queue()
        first = await bench.put(dedup_key="k")
        await bench.delete(queue="q")
        assert await bench.put(dedup_key="k") == first
        assert await bench.counts() == Counts()

    @needs("dedup")
    async def test_a_key_dies_with_its_queue(self, bench: Workbench) -> None:
        await bench.make_queue()
        first = await bench.put(dedup_key="k")
        await bench.storage.drop_queue("q")
        await bench.make_queue()
        assert await bench.put(dedup_key="k") > first

    @needs("dedup")
    async def test_without_a_window_nothing_is_a_duplicate(self, bench: Workbench) -> None:
        await bench.make_queue(dedup_window=0)
        results = await bench.publish(bench.message(dedup_key="k"), bench.message(dedup_key="k"))
        results += await bench.publish(bench.message(dedup_key="k"))
        assert [result.duplicate for result in results] == [False, False, False]
        assert len({result.id for result in results}) == 3

    @needs("dedup")
    async def test_the_window_is_that_of_the_policy_at_publish(self, bench: Workbench) -> None:
        await bench.make_queue(dedup_window=10)
        await bench.put(dedup_key="short")
        await bench.make_queue(dedup_window=300)
        await bench.put(dedup_key="long")
        bench.advance(10)
        results = await bench.publish(
            bench.message(dedup_key="short"), bench.message(dedup_key="long")
        )
        assert [result.duplicate for result in results] == [False, True]

    @needs("dedup")
    async def test_a_full_queue_still_answers_duplicates(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=1)
        first = await bench.put(dedup_key="k")
        assert await bench.put(dedup_key="k") == first

    @needs("dedup")
    async def test_duplicates_in_a_batch_take_no_room(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=1, max_bytes=4)
        results = await bench.publish(bench.message(dedup_key="k"), bench.message(dedup_key="k"))
        assert [result.duplicate for result in results] == [False, True]

    @needs("dedup")
    async def test_a_refused_batch_leaves_no_key(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=1)
        with pytest.raises(QueueFull):
            await bench.publish(bench.message(dedup_key="k"), bench.message())
        [result] = await bench.publish(bench.message(dedup_key="k"))
        assert result == PublishResult(result.id, duplicate=False)

    @lacks("dedup")
    async def test_an_undeclared_dedup_key_has_no_effect(self, bench: Workbench) -> None:
        await bench.make_queue()
        results = await bench.publish(bench.message(dedup_key="k"), bench.message(dedup_key="k"))
        assert [result.duplicate for result in results] == [False, False]
        assert await bench.counts() == Counts(pending=2)
