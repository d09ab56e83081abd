"""Pages: what they say of themselves, and that walking them misses and repeats nothing."""

import asyncio
import logging
from base64 import urlsafe_b64encode

import pytest
from graphs import ADMIN, graph
from house import House
from hypothesis import given
from hypothesis import strategies as st

from broker import Counts, Draft, Invalid, Page, Queue, QueuePolicy, QueueSpec, QueueStatus, Totals
from broker_graphql.execution import Execution
from broker_graphql.resolvers.paging import (
    connect_messages,
    connect_queues,
    read_slice,
    write_cursor,
)
from broker_graphql.resolvers.queries import messages, queues

MEBIBYTE = 1024 * 1024


def status(name):
    queue = Queue(id=1, name=name, policy=QueuePolicy(), version=1, created_at=0, updated_at=0)
    return QueueStatus(queue=queue, counts=Counts(), totals=Totals(), bytes=0, oldest_at=None)


def info(page):
    found = page.page_info
    return (found.has_previous_page, found.start_cursor, found.end_cursor, found.has_next_page)


@given(st.text(max_size=300))
def test_the_cursor_of_a_queue_names_it(name):
    assert read_slice("queue", 1, write_cursor("queue", name)) == name


@given(st.integers(0, 2**63 - 1))
def test_the_cursor_of_a_message_names_it(number):
    assert read_slice("message", 1, write_cursor("message", number)) == str(number)


def test_cursors_are_opaque_and_fit_into_a_url():
    assert write_cursor("message", 7) == "bWVzc2FnZTo3"
    assert {*write_cursor("queue", "orders?>~" * 9)} <= {
        *"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    }


def encoded(text):
    return urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "7",
        "!",
        "ü",
        "\ud800",
        "bWVzc2FnZTo3=",
        "bWVzc2FnZTo3 ",
        "bWVzc2FnZTo4\n",
        # The same bytes with bits that are not looked at.
        "bWVzc2FnZTo3MR",
        encoded(b"message:"),
        encoded(b"message:x"),
        encoded(b"message:-1"),
        encoded("message:²".encode()),
        encoded("message:٣".encode()),
        encoded(b"message:" + b"7" * 5000),
        encoded(b"message:\xff"),
        write_cursor("queue", "7"),
        encoded(b"7"),
    ],
)
def test_what_is_no_cursor_of_a_message_is_refused_by_name(cursor):
    with pytest.raises(Invalid) as caught:
        read_slice("message", 20, cursor)
    [error] = caught.value.errors
    assert (error.field, error.message) == ("after", "is no cursor of a message")


@pytest.mark.parametrize("first", [0, -1, 1001, 2**31 - 1])
def test_a_page_holds_1_to_1000(first):
    with pytest.raises(Invalid) as caught:
        read_slice("queue", first, "?")
    assert str(caught.value) == "first: expected 1 to 1000; after: is no cursor of a queue"


def test_a_page_of_queues_ends_where_it_is_full():
    page = connect_queues([status(name) for name in "abc"], first=2, after=None)
    assert [edge.node.queue.name for edge in page.edges] == ["a", "b"]
    assert page.nodes == [edge.node for edge in page.edges]
    a, b = write_cursor("queue", "a"), write_cursor("queue", "b")
    assert [edge.cursor for edge in page.edges] == [a, b]
    assert info(page) == (False, a, b, True)


def test_the_last_page_says_so():
    a = write_cursor("queue", "a")
    assert info(connect_queues([status("b")], first=1, after=a)) == (
        True,
        write_cursor("queue", "b"),
        write_cursor("queue", "b"),
        False,
    )
    assert info(connect_queues([], first=1, after=a)) == (True, None, None, False)
    assert info(connect_messages(Page([]), after=None)) == (False, None, None, False)


def test_a_page_that_was_not_looked_for_goes_on_where_it_began():
    after = write_cursor("message", 7)
    assert info(connect_messages(Page([], 7), after=after)) == (True, None, after, True)
    beginning = write_cursor("message", 0)
    assert info(connect_messages(Page([], 0), after=None)) == (False, None, beginning, True)


MESSAGES = """
query ($name: String!, $first: Int!, $after: String, $state: [MessageState!], $search: String) {
  queue(name: $name) {
    messages(first: $first, after: $after, state: $state, search: $search) {
      edges { cursor node { id } } nodes { id }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""
QUEUES = """
query ($first: Int!, $after: String, $prefix: String! = "") {
  queues(first: $first, after: $after, prefix: $prefix) {
    edges { cursor node { name } } nodes { name }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


async def walk(ask, meanwhile=None):
    """Return what each page holds, until one says that it is the last."""
    pages, after = [], None
    while True:
        page = await ask(after)
        nodes, page_info = page["nodes"], page["pageInfo"]
        assert nodes == [edge["node"] for edge in page["edges"]]
        if nodes:
            assert page_info["startCursor"] == page["edges"][0]["cursor"]
        assert page_info["hasPreviousPage"] is (after is not None)
        pages.append([next(iter(node.values())) for node in nodes])
        if not page_info["hasNextPage"]:
            return pages
        assert page_info["endCursor"] is not None
        after = page_info["endCursor"]
        if meanwhile:
            await meanwhile()


def messages_of(one, name="orders", **variables):
    async def ask(after):
        data = await one.data(MESSAGES, name=name, after=after, **variables)
        return data["queue"]["messages"]

    return ask


def queues_of(one, **variables):
    async def ask(after):
        return (await one.data(QUEUES, after=after, **variables))["queues"]

    return ask


async def test_pages_of_messages_are_exact(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("orders")
        ids = [str(key) for key in await one.publish("orders", *"abcdef")]
        assert await walk(messages_of(one, first=2)) == [ids[:2], ids[2:4], ids[4:]]
        assert await walk(messages_of(one, first=4)) == [ids[:4], ids[4:]]
        assert await walk(messages_of(one, first=6)) == [ids]
        assert await walk(messages_of(one, first=1, search="c")) == [ids[2:3]]
        assert await walk(messages_of(one, first=1, state=["FAILED"])) == [[]]
        assert await walk(messages_of(one, first=5, state=["PENDING", "PENDING"])) == [
            ids[:5],
            ids[5:],
        ]


async def test_pages_of_queues_are_exact(tmp_path):
    async with graph(tmp_path) as one:
        await one.make(*"abcd", "x1", "x2")
        assert await walk(queues_of(one, first=4)) == [[*"abcd"], ["x1", "x2"]]
        assert await walk(queues_of(one, first=6)) == [[*"abcd", "x1", "x2"]]
        assert await walk(queues_of(one, first=1, prefix="x")) == [["x1"], ["x2"]]
        one.scopes = frozenset({"read:b", "read:x*", "publish:a"})
        assert await walk(queues_of(one, first=1)) == [["b"], ["x1"], ["x2"]]
        assert await walk(queues_of(one, first=3)) == [["b", "x1", "x2"]]


async def test_a_page_may_hold_a_thousand_queues(tmp_path):
    async with graph(tmp_path) as one:
        names = [f"q{number:04}" for number in range(1000)]
        await one.make(*names)
        assert await walk(queues_of(one, first=1000)) == [names]


async def test_walking_goes_on_after_a_message_or_a_queue_that_is_gone(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("orders", "x", "y")
        ids = await one.publish("orders", *"abc")

        async def remove_queue():
            await one.broker.queues.drop(ADMIN, "orders")

        async def remove_message():
            if ids:
                await one.broker.delete_message(ADMIN, ids.pop(0))

        told = [str(key) for key in ids]
        assert sum(await walk(messages_of(one, first=1), remove_message), []) == told
        assert await walk(queues_of(one, first=1), remove_queue_once(remove_queue)) == [
            ["orders"],
            ["x"],
            ["y"],
        ]


def remove_queue_once(remove):
    done = []

    async def once():
        if not done:
            done.append(True)
            await remove()

    return once


@pytest.mark.parametrize("plugins", [(), ("storage_sqlite",)], ids=["memory", "sqlite"])
async def test_who_gets_no_message_of_a_queue_for_want_of_room_is_told_where_to_go_on(
    tmp_path, plugins
):
    async with graph(tmp_path, plugins=plugins) as one:
        names = ["a", "b", "c"]
        await one.make(*names)
        expected = {}
        for name in names:
            drafts = [Draft(queue=name, body=bytes(MEBIBYTE)) for _ in range(10)]
            published = await one.broker.publish(ADMIN, drafts)
            expected[name] = [str(result.id) for result in published]
        found = {name: [] for name in names}
        cursors = dict.fromkeys(names)
        empty_pages = 0
        while cursors:
            fields = " ".join(
                f'{name}: queue(name: "{name}") {{ messages(after: ${name}) {{ nodes {{ id }}'
                " pageInfo { hasNextPage endCursor } } }"
                for name in cursors
            )
            variables = ", ".join(f"${name}: String" for name in cursors)
            data = await one.data(f"query ({variables}) {{ {fields} }}", **cursors)
            for name in list(cursors):
                page = data[name]["messages"]
                found[name] += [node["id"] for node in page["nodes"]]
                if page["pageInfo"]["hasNextPage"]:
                    empty_pages += not page["nodes"]
                    cursors[name] = page["pageInfo"]["endCursor"]
                else:
                    del cursors[name]
    assert found == expected
    assert empty_pages == 1


def execution_of(house):
    return Execution(
        house.broker, ADMIN, request_id="r-1", logger=logging.getLogger("broker.graphql")
    )


def told(page):
    """A page as a client gets it."""
    found = page.page_info
    return {
        "edges": [{"cursor": edge.cursor, "node": {"it": edge.node}} for edge in page.edges],
        "nodes": [{"it": node} for node in page.nodes],
        "pageInfo": {
            "hasNextPage": found.has_next_page,
            "hasPreviousPage": found.has_previous_page,
            "startCursor": found.start_cursor,
            "endCursor": found.end_cursor,
        },
    }


@given(st.integers(0, 12), st.integers(1, 5), st.lists(st.integers(-2, 2), max_size=12))
def test_walking_any_pages_gives_each_message_once_while_others_come_and_go(there, first, others):
    """`others` are so many that are published, or removed from the end, after each page."""

    async def check():
        async with House() as house:
            ids = [] if not there else await house.publish(*[b"x"] * there)
            left, removed = list(others), set()

            async def ask(after):
                [status] = await house.broker.queues.list(ADMIN)
                page = await messages(execution_of(house), status, first=first, after=after)
                return told(page)

            async def meanwhile():
                change = left.pop() if left else 0
                if change > 0:
                    ids.extend(await house.publish(*[b"y"] * change))
                for _ in range(min(-change, len(ids))):
                    await house.broker.delete_message(ADMIN, ids[-1])
                    removed.add(ids.pop())

            pages = await walk(ask, meanwhile)
            got = [message.id for page in pages for message in page]
            assert got == sorted({*got})
            assert {*ids} <= {*got} <= {*ids} | removed
            assert all(len(page) <= first for page in pages)

    asyncio.run(check())


NAMES = st.text("ab.", min_size=1, max_size=4)


@given(st.sets(NAMES, max_size=12), st.integers(1, 13), st.sets(NAMES, max_size=4))
def test_walking_any_pages_gives_each_queue_once_while_others_are_made(there, first, others):
    async def check():
        async with House() as house:
            for name in there:
                await house.broker.queues.create(ADMIN, QueueSpec(f"p{name}"))
            left = sorted(others - there)

            async def ask(after):
                execution = execution_of(house)
                return told(await queues(execution, None, first=first, prefix="p", after=after))

            async def meanwhile():
                if left:
                    await house.broker.queues.create(ADMIN, QueueSpec(f"p{left.pop()}"))

            pages = await walk(ask, meanwhile)
            got = [status.queue.name[1:] for page in pages for status in page]
            assert got == sorted({*got})
            assert there <= {*got} <= there | others

    asyncio.run(check())
