"""Browsing: looking at messages and at a queue's status, without changing anything."""

from __future__ import annotations

import pytest

from broker.errors import Unsupported
from broker.models import Counts, LeaseResult, Page
from broker.testing.contract import lacks, needs
from broker.testing.storage.bench import MEBIBYTE, SettleKind, Workbench


class Browsing:
    """The rows about browse, and about what get_queues counts."""

    async def test_messages_are_shown_in_order_of_id(self, bench: Workbench) -> None:
        await bench.make_queue()
        first = await bench.put(delay=60)
        second, third = await bench.put_many(2)
        await bench.take_one()
        assert await bench.browse_ids() == [first, second, third]

    async def test_browsing_changes_nothing(self, bench: Workbench) -> None:
        await bench.make_queue()
        visible = await bench.put()
        await bench.put_many(3, delay=1)
        before = await bench.status()
        for _ in range(3):
            await bench.browse()
        assert await bench.status() == before
        assert await bench.take_ids() == [visible]
        assert await bench.lease() == LeaseResult(leases=[], next_visible_at=bench.now + 1000)

    async def test_messages_are_shown_in_pages(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = await bench.put_many(7)
        pages, after = [], 0
        for _ in range(10):
            page = await bench.page(queue="q", after=after, limit=3)
            pages.append([message.id for message in page.messages])
            if page.after is None:
                break
            assert page.after == page.messages[-1].id
            after = page.after
        assert [page for page in pages if page] == [ids[:3], ids[3:6], ids[6:]]

    async def test_a_page_ends_with_the_message_that_fills_the_budget_of_bytes(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        ids = [await bench.put(bytes(9 * MEBIBYTE)) for _ in range(3)]
        for query in ({"queue": "q"}, {"ids": tuple(ids)}, {"queue": "q", "limit": 3}):
            page = await bench.page(**query)
            assert ([message.id for message in page.messages], page.after) == (ids[:2], ids[1])
            page = await bench.page(**query, after=page.after)
            assert ([message.id for message in page.messages], page.after) == (ids[2:], None)

    @needs("search")
    async def test_a_page_of_a_search_ends_with_the_message_that_fills_the_budget_of_bytes(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        ids = [await bench.put(b"apple" + bytes(9 * MEBIBYTE)) for _ in range(3)]
        page = await bench.page(queue="q", text="apple")
        assert ([message.id for message in page.messages], page.after) == (ids[:2], ids[1])
        page = await bench.page(queue="q", text="apple", after=page.after)
        assert ([message.id for message in page.messages], page.after) == (ids[2:], None)

    async def test_a_page_that_the_last_message_fills_is_the_last(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = [await bench.put(body) for body in (b"small", bytes(16 * MEBIBYTE))]
        page = await bench.page(queue="q")
        assert ([message.id for message in page.messages], page.after) == (ids, None)

    async def test_a_page_that_is_not_full_is_the_last(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_many(2)
        assert (await bench.page(queue="q", limit=3)).after is None

    async def test_pages_are_stable_while_messages_come_and_go(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = await bench.put_many(6)
        page = await bench.page(queue="q", limit=3)
        await bench.delete(ids=(ids[1], ids[3]))
        newer = await bench.put()
        assert await bench.browse_ids(after=page.after) == [ids[4], ids[5], newer]

    async def test_a_page_may_continue_after_a_message_that_is_gone(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = await bench.put_many(3)
        await bench.delete(ids=(ids[1],))
        assert await bench.browse_ids(after=ids[1]) == [ids[2]]

    async def test_messages_are_chosen_by_state(self, bench: Workbench) -> None:
        await bench.make_queue()
        processed = await bench.put_processed()
        failed = await bench.put_failed()
        processing = await bench.put()
        await bench.take_one()
        scheduled = await bench.put(delay=60)
        pending = await bench.put()
        assert await bench.browse_ids("q", "processed") == [processed]
        assert await bench.browse_ids("q", "failed") == [failed]
        assert await bench.browse_ids("q", "processing") == [processing]
        assert await bench.browse_ids("q", "scheduled") == [scheduled]
        assert await bench.browse_ids("q", "pending") == [scheduled, pending]
        assert await bench.browse_ids("q", "failed", "scheduled") == [failed, scheduled]
        assert len(await bench.browse_ids()) == 5

    async def test_states_are_paged_too(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = []
        for _ in range(3):
            await bench.put(delay=60)
            ids.append(await bench.put_failed())
        assert await bench.browse_ids("q", "failed", limit=2) == ids[:2]
        assert await bench.browse_ids("q", "failed", after=ids[1], limit=2) == ids[2:]

    async def test_messages_are_chosen_by_id(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.make_queue("other")
        ids = [*await bench.put_many(2), await bench.put(queue="other")]
        page = await bench.page(ids=(ids[2], 4711, ids[0], ids[0]))
        assert [message.id for message in page.messages] == [ids[0], ids[2]]
        assert await bench.page(ids=()) == Page([])
        assert await bench.page(ids=(4711,)) == Page([])

    async def test_ids_and_states_are_combined(self, bench: Workbench) -> None:
        await bench.make_queue()
        failed = await bench.put_failed()
        pending = await bench.put()
        page = await bench.page(ids=(failed, pending), states=("failed",))
        assert [message.id for message in page.messages] == [failed]

    async def test_ids_are_paged_too(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = await bench.put_many(5)
        page = await bench.page(ids=tuple(ids), after=ids[0], limit=2)
        assert [message.id for message in page.messages] == ids[1:3]
        assert page.after == ids[2]
        page = await bench.page(ids=tuple(ids), after=ids[2])
        assert ([message.id for message in page.messages], page.after) == (ids[3:], None)

    async def test_a_thousand_ids_can_be_asked_for(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = await bench.put_many(1000)
        page = await bench.page(ids=tuple(ids), limit=1000)
        assert [message.id for message in page.messages] == ids

    async def test_an_unknown_queue_holds_nothing(self, bench: Workbench) -> None:
        assert await bench.page(queue="nowhere") == Page([])
        assert await bench.delete(queue="nowhere") == 0
        assert await bench.redrive(queue="nowhere") == 0

    async def test_what_a_caller_does_to_a_result_changes_nothing(self, bench: Workbench) -> None:
        await bench.make_queue()
        headers = {"a": "b"}
        message_id = await bench.put(headers=headers)
        headers["a"] = "changed"
        (await bench.get(message_id)).headers["a"] = "changed"
        assert (await bench.get(message_id)).headers == {"a": "b"}

    @needs("search")
    async def test_messages_are_chosen_by_their_text(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put(b"nothing")
        first = await bench.put(b"red apple")
        second = await bench.put("grüner apple".encode())
        assert await bench.browse_ids(text="apple") == [first, second]
        assert await bench.browse_ids(text="grüner") == [second]
        assert await bench.browse_ids(text="apple", after=first) == [second]
        assert await bench.browse_ids("q", "failed", text="apple") == []

    @needs("search")
    async def test_text_is_matched_literally(self, bench: Workbench) -> None:
        await bench.make_queue()
        for body in (b"100 %", b"a_b", b"a*b", b"axb", b"a\\b", b"'quoted'"):
            await bench.put(body)
        assert [m.body for m in await bench.browse(text="%")] == [b"100 %"]
        assert [m.body for m in await bench.browse(text="a_b")] == [b"a_b"]
        assert [m.body for m in await bench.browse(text="a*b")] == [b"a*b"]
        assert [m.body for m in await bench.browse(text="a\\b")] == [b"a\\b"]
        assert [m.body for m in await bench.browse(text="'")] == [b"'quoted'"]

    @needs("search")
    async def test_text_is_found_in_binary_bodies(self, bench: Workbench) -> None:
        await bench.make_queue()
        message_id = await bench.put(b"\xff\xfe\x00needle\x00\x80")
        await bench.put(b"\xff\xfe")
        assert await bench.browse_ids(text="needle") == [message_id]

    @lacks("search")
    async def test_an_undeclared_search_is_refused(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put(b"body")
        before = await bench.everything()
        # To ignore the text would be worse than to refuse it: a delete would take too much.
        with pytest.raises(Unsupported):
            await bench.page(queue="q", text="apple")
        with pytest.raises(Unsupported):
            await bench.delete(queue="q", text="apple")
        assert await bench.everything() == before

    async def test_every_message_is_counted_in_one_state(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_processed()
        await bench.put_failed()
        await bench.put_many(3)
        await bench.take(limit=2)
        await bench.put(delay=60)
        status = await bench.status()
        assert status.counts == Counts(pending=2, processing=2, processed=1, failed=1, scheduled=1)
        assert (status.counts.total, status.bytes) == (6, 4 + 4 + 3 + 4)

    async def test_oldest_at_is_of_the_lowest_id_that_could_be_leased(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.put(delay=60)
        await bench.put()
        await bench.take_one()
        assert (await bench.status()).oldest_at is None
        bench.advance(1)
        oldest_at = bench.now
        await bench.put()
        bench.advance(1)
        await bench.put()
        assert (await bench.status()).oldest_at == oldest_at

    async def test_oldest_at_does_not_mind_pause_and_limits(self, bench: Workbench) -> None:
        await bench.make_queue(max_in_flight=1)
        await bench.put_many(2)
        await bench.take(limit=1)
        assert (await bench.status()).oldest_at == bench.now
        await bench.make_queue(paused=True)
        assert (await bench.status()).oldest_at == bench.now

    async def test_oldest_at_tells_of_a_scheduled_message_once_it_is_visible(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.put(delay=10)
        bench.advance(10)
        due_at = bench.now
        assert (await bench.status()).oldest_at == due_at
        bench.advance(1)
        await bench.maintain()
        assert (await bench.status()).oldest_at == due_at

    @pytest.mark.parametrize(("kind", "delay"), [("retry", 5), ("release", 0)])
    async def test_oldest_at_begins_anew_when_a_message_comes_back(
        self, bench: Workbench, kind: SettleKind, delay: int
    ) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        bench.advance(1)
        await bench.do(lease, kind, seconds=delay)
        bench.advance(delay)
        back_at = bench.now
        bench.advance(1)
        assert (await bench.status()).oldest_at == back_at
