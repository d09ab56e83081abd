"""Browsing several times in one call."""

from __future__ import annotations

import pytest

from broker.errors import Unsupported
from broker.models import MessageQuery, Page
from broker.testing.contract import lacks, needs
from broker.testing.storage.bench import MEBIBYTE, Workbench


class BrowsingEach:
    """The rows about browse_each."""

    async def test_each_query_gets_the_page_that_it_gets_alone(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.make_queue("a")
        await bench.make_queue("empty")
        failed = await bench.put_failed()
        ids = await bench.put_many(3)
        others = await bench.put_many(3, queue="a")
        queries = [
            MessageQuery(queue="q"),
            MessageQuery(queue="a", limit=2),
            MessageQuery(queue="a", limit=2, after=others[1]),
            MessageQuery(queue="empty"),
            MessageQuery(queue="q", states=("failed",)),
            MessageQuery(queue="nowhere"),
            MessageQuery(queue="q", after=failed, limit=1),
            MessageQuery(queue="q", states=("pending", "failed"), limit=2),
            MessageQuery(ids=(others[2], ids[0])),
            MessageQuery(queue="a", after=others[2]),
            MessageQuery(queue="q"),
        ]
        alone = [await bench.storage.browse(query, now=bench.now) for query in queries]
        assert await bench.pages(*queries) == alone

    async def test_no_query_gets_no_page(self, bench: Workbench) -> None:
        assert await bench.pages() == []

    async def test_a_hundred_queues_can_be_looked_into(self, bench: Workbench) -> None:
        names = [f"q{number}" for number in range(100)]
        for name in names:
            await bench.make_queue(name)
        ids = [await bench.put(queue=name) for name in names]
        pages = await bench.pages(*(MessageQuery(queue=name, limit=5) for name in names))
        assert [[message.id for message in page.messages] for page in pages] == [[i] for i in ids]
        assert {page.after for page in pages} == {None}

    async def test_all_pages_share_one_budget_of_bytes(self, bench: Workbench) -> None:
        first, second, third = await put_large(bench, "first", "second", "third")
        assert shown(await bench.pages(*all_of("first", "second", "third"))) == [
            (first[:2], first[1]),
            ([], 0),
            ([], 0),
        ]
        [page, *rest] = await bench.pages(
            MessageQuery(queue="first", after=first[1]),
            MessageQuery(queue="second", after=second[0]),
            MessageQuery(queue="third", after=third[1]),
        )
        assert shown([page]) == [(first[2:], None)]
        assert shown(rest) == [(second[1:2], second[1]), ([], third[1])]

    async def test_a_page_that_was_not_looked_for_goes_on_where_its_query_began(
        self, bench: Workbench
    ) -> None:
        _, second = await put_large(bench, "first", "second")
        [_, page] = await bench.pages(
            MessageQuery(queue="first"), MessageQuery(queue="second", after=second[1])
        )
        assert page == Page([], second[1])
        assert shown(await bench.pages(MessageQuery(queue="second", after=second[1]))) == [
            (second[2:], None)
        ]

    async def test_a_page_that_fills_the_budget_and_is_the_last_of_its_query_says_so(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        await bench.make_queue("full")
        small = await bench.put()
        large = await bench.put(bytes(16 * MEBIBYTE), queue="full")
        pages = await bench.pages(*all_of("q", "full", "q"))
        assert shown(pages) == [([small], None), ([large], None), ([], 0)]
        # Now it is full to the byte.
        assert shown(await bench.pages(*all_of("full", "q"))) == [([large], None), ([], 0)]

    async def test_who_goes_on_where_pages_end_gets_each_message_once(
        self, bench: Workbench
    ) -> None:
        names = ("first", "second", "third")
        ids = await put_large(bench, *names)
        found: dict[str | None, list[int]] = {name: [] for name in names}
        queries = list(all_of(*names))
        for _ in range(20):
            pages = await bench.pages(*queries)
            going_on = []
            for query, page in zip(queries, pages, strict=True):
                found[query.queue] += [message.id for message in page.messages]
                if page.after is not None:
                    going_on.append(MessageQuery(queue=query.queue, limit=2, after=page.after))
            queries = going_on
            if not queries:
                break
        assert list(found.values()) == ids

    @needs("search")
    async def test_one_query_may_search_and_another_may_not(self, bench: Workbench) -> None:
        await bench.make_queue()
        ids = [await bench.put(body) for body in (b"red apple", b"pear", b"apple", b"apple pie")]
        pages = await bench.pages(
            MessageQuery(queue="q", text="apple", limit=2),
            MessageQuery(queue="q", limit=2),
            MessageQuery(queue="q", text="apple", limit=2, after=ids[2]),
        )
        assert shown(pages) == [([ids[0], ids[2]], ids[2]), (ids[:2], ids[1]), ([ids[3]], None)]

    @needs("search")
    async def test_a_search_that_was_not_looked_for_goes_on_where_it_began(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        ids = [await bench.put(b"apple" + bytes(16 * MEBIBYTE - 5)), await bench.put(b"apple")]
        search = MessageQuery(queue="q", text="apple", limit=1)
        later = MessageQuery(queue="q", text="apple", after=ids[0])
        assert shown(await bench.pages(search, later)) == [(ids[:1], ids[0]), ([], ids[0])]
        assert shown(await bench.pages(later)) == [(ids[1:], None)]

    @lacks("search")
    async def test_an_undeclared_search_is_refused_among_others(self, bench: Workbench) -> None:
        await bench.make_queue()
        with pytest.raises(Unsupported):
            await bench.pages(MessageQuery(queue="q"), MessageQuery(queue="q", text="apple"))


def all_of(*queues: str) -> tuple[MessageQuery, ...]:
    """Return a query for all that is in each of these queues."""
    return tuple(MessageQuery(queue=queue) for queue in queues)


async def put_large(bench: Workbench, *queues: str) -> list[list[int]]:
    """Put into each queue three messages of which two fill a page."""
    for queue in queues:
        await bench.make_queue(queue)
    return [
        [await bench.put(bytes(9 * MEBIBYTE), queue=queue) for _ in range(3)] for queue in queues
    ]


def shown(pages: list[Page]) -> list[tuple[list[int], int | None]]:
    """Return of each page the ids, and where it goes on."""
    return [([message.id for message in page.messages], page.after) for page in pages]
