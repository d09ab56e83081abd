"""Publishing: what goes in is what is kept, in order, all or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from broker.errors import QueueNotFound
from broker.models import Counts, Message, PublishResult, Totals
from broker.testing.storage.bench import Workbench

EVERY_BYTE = bytes(range(256))


class Publishing:
    """The rows about publish."""

    async def test_a_published_message_is_kept_as_it_was_given(self, bench: Workbench) -> None:
        queue = await bench.make_queue()
        message_id = await bench.put(
            b"hello",
            content_type="text/plain; charset=utf-8",
            headers={"trace": "1"},
            delay=5,
            ttl=60,
        )
        assert await bench.get(message_id) == Message(
            id=message_id,
            queue="q",
            queue_id=queue.id,
            state="pending",
            body=b"hello",
            content_type="text/plain; charset=utf-8",
            headers={"trace": "1"},
            priority=4,
            group=None,
            dedup_key=None,
            enqueued_at=bench.now,
            updated_at=bench.now,
            visible_at=bench.now + 5_000,
            expires_at=bench.now + 60_000,
            delivery_count=0,
            first_delivered_at=None,
            finished_at=None,
            reason=None,
            origin_queue=None,
            leased_by=None,
        )

    async def test_priority_group_and_dedup_key_are_kept(self, bench: Workbench) -> None:
        await bench.make_queue()
        capabilities = bench.storage.capabilities
        fields: dict[str, Any] = {}
        if "priority" in capabilities:
            fields["priority"] = 9
        if "groups" in capabilities:
            fields["group"] = "g"
        if "dedup" in capabilities:
            fields["dedup_key"] = "k"
        message = await bench.get(await bench.put(**fields))
        assert {name: getattr(message, name) for name in fields} == fields

    async def test_ids_are_positive_and_grow_in_the_order_of_publishing(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue("a")
        await bench.make_queue("b")
        first = await bench.publish(
            bench.message(queue="b"), bench.message(queue="a"), bench.message(queue="b")
        )
        second = await bench.publish(bench.message(queue="a"))
        ids = [result.id for result in first + second]
        assert ids[0] > 0
        assert ids == sorted(set(ids))

    async def test_a_batch_may_span_queues(self, bench: Workbench) -> None:
        await bench.make_queue("a")
        await bench.make_queue("b")
        results = await bench.publish(bench.message(queue="a"), bench.message(queue="b"))
        assert await bench.browse_ids("a") == [results[0].id]
        assert await bench.browse_ids("b") == [results[1].id]

    async def test_a_batch_with_an_unknown_queue_is_refused_whole(self, bench: Workbench) -> None:
        await bench.make_queue()
        with pytest.raises(QueueNotFound, match='"nowhere"'):
            await bench.publish(bench.message(), bench.message(queue="nowhere"))
        status = await bench.status()
        assert (status.counts, status.totals, status.bytes) == (Counts(), Totals(), 0)

    async def test_an_empty_batch_is_nothing(self, bench: Workbench) -> None:
        assert await bench.publish() == []

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="empty"),
            pytest.param(EVERY_BYTE, id="every byte"),
            pytest.param(EVERY_BYTE * 4096, id="1 MiB"),
        ],
    )
    async def test_a_body_comes_back_byte_for_byte(self, bench: Workbench, body: bytes) -> None:
        await bench.make_queue()
        message_id = await bench.put(body)
        assert (await bench.get(message_id)).body == body
        assert (await bench.take_one()).message.body == body

    async def test_headers_may_hold_any_characters(self, bench: Workbench) -> None:
        await bench.make_queue()
        headers = {"ключ": "значение", "emoji": "\N{PARTY POPPER}", "empty": "", "quote": "'\"\\"}
        message_id = await bench.put(headers=headers)
        assert (await bench.get(message_id)).headers == headers

    async def test_publishing_is_counted(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.publish(bench.message(b"four"), bench.message(b"seven.."))
        await bench.put(b"!", delay=1)
        status = await bench.status()
        assert status.counts == Counts(pending=3, scheduled=1)
        assert status.totals == Totals(published=3)
        assert status.bytes == 12

    async def test_results_come_in_the_order_of_the_batch(self, bench: Workbench) -> None:
        await bench.make_queue()
        results = await bench.publish(bench.message(b"0"), bench.message(b"1"))
        bodies = [(await bench.get(result.id)).body for result in results]
        assert bodies == [b"0", b"1"]
        assert results == [PublishResult(results[0].id), PublishResult(results[1].id)]

    async def test_a_message_that_is_visible_in_the_past_is_visible_at_once(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        message_id = await bench.put(delay=-3600)
        assert await bench.counts() == Counts(pending=1)
        assert await bench.take_ids() == [message_id]
