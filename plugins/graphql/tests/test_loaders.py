"""What many ask for is asked for at once, and each gets its own answer."""

import asyncio

import pytest
from graphs import graph

from broker import QueueNotFound, Unavailable
from broker_graphql.loaders import QUIET_TURNS, Loader

COUNTED = ("browse", "browse_each", "get_queues")


class Source:
    """Answers a number by ten times of it, and is held back until it is told."""

    def __init__(self):
        self.asked = []
        self.open = asyncio.Event()
        self.open.set()

    async def load(self, keys):
        self.asked.append(list(keys))
        await self.open.wait()
        return [QueueNotFound(str(key)) if key < 0 else key * 10 for key in keys]


async def turns(count=2 * QUIET_TURNS + 2):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_is_asked_together_is_loaded_once_and_in_order():
    source = Source()
    loader = Loader(source.load)
    assert await asyncio.gather(*map(loader.load, [3, 1, 2, 1])) == [30, 10, 20, 10]
    assert source.asked == [[3, 1, 2, 1]]


async def test_what_comes_a_turn_later_comes_along():
    source = Source()
    loader = Loader(source.load)

    async def later(key):
        for _ in range(key):
            await asyncio.sleep(0)
        return await loader.load(key)

    assert await asyncio.gather(*map(later, range(20))) == [key * 10 for key in range(20)]
    assert source.asked == [list(range(20))]


async def test_what_comes_while_something_is_loaded_is_for_the_next_call():
    source = Source()
    source.open.clear()
    loader = Loader(source.load)
    first = asyncio.ensure_future(loader.load(1))
    await turns()
    second = asyncio.ensure_future(loader.load(2))
    await turns()
    assert source.asked == [[1], [2]]
    source.open.set()
    assert await asyncio.gather(first, second) == [10, 20]


async def test_what_fails_for_one_fails_for_nobody_else():
    loader = Loader(Source().load)
    first, failing, last = [asyncio.ensure_future(loader.load(key)) for key in (1, -1, 2)]
    assert [await first, await last] == [10, 20]
    with pytest.raises(QueueNotFound):
        await failing


async def test_what_fails_as_a_whole_fails_for_all_and_not_for_those_who_come_later():
    source = Source()

    async def fail(keys):
        if not source.asked:
            source.asked.append(keys)
            raise Unavailable("the disk is away")
        return await source.load(keys)

    loader = Loader(fail)
    answers = await asyncio.gather(*map(loader.load, [1, 2]), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    assert await loader.load(3) == 30


@pytest.mark.parametrize("leaver", [0, 1])
@pytest.mark.parametrize("after", [0, 1, 2 * QUIET_TURNS + 2])
async def test_who_is_cancelled_does_not_take_the_others_along(leaver, after):
    source = Source()
    source.open.clear()
    loader = Loader(source.load)
    asking = [asyncio.ensure_future(loader.load(key)) for key in (1, 2)]
    await turns(after)
    asking[leaver].cancel()
    await turns(1)
    source.open.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert answers[1 - leaver] == (2 - leaver) * 10
    assert isinstance(answers[leaver], asyncio.CancelledError)


@pytest.mark.parametrize("after", [1, 2 * QUIET_TURNS + 2])
async def test_when_all_are_cancelled_nothing_goes_on(after):
    before = asyncio.all_tasks()
    source = Source()
    source.open.clear()
    loader = Loader(source.load)
    asking = [asyncio.ensure_future(loader.load(key)) for key in (1, 2)]
    await turns(after)
    for one in asking:
        one.cancel()
    await turns()
    assert asyncio.all_tasks() == before
    source.open.set()
    assert await loader.load(3) == 30


def listen(one):
    """Return a list that gets the name of each call of the storage from now on."""
    calls = []
    for name in COUNTED:
        setattr(one.storage, name, spy(calls, name, getattr(one.storage, name)))
    return calls


def spy(calls, name, method):
    async def called(*arguments, **options):
        # What a storage calls of itself is not counted.
        if not calls or calls[-1] != "...":
            calls.append(name)
        calls.append("...")
        try:
            return await method(*arguments, **options)
        finally:
            calls.remove("...")

    return called


NAMES = [f"q{number:03}" for number in range(100)]
ALIASES = " ".join(
    f'a{n}: queue(name: "{NAMES[n]}") {{ messages {{ nodes {{ id }} }} }}' for n in range(10)
)


@pytest.mark.parametrize("plugins", [(), ("storage_sqlite",)], ids=["memory", "sqlite"])
@pytest.mark.parametrize(
    ("query", "calls"),
    [
        (
            "{ queues(first: 100) { nodes { messageCount messages(first: 5) { nodes { id } } } } }",
            ["get_queues", "browse_each"],
        ),
        (
            "{ queues(first: 100) { nodes { a: messages(first: 5) { nodes { id } }"
            " b: messages(first: 1, state: [FAILED]) { edges { cursor } } } } }",
            ["get_queues", "browse_each"],
        ),
        (
            "{ queues(first: 100) { nodes { messages { nodes { id } } }"
            " edges { node { messages { nodes { id } } } } } }",
            ["get_queues", "browse_each"],
        ),
        (
            "{ queues(first: 100) { ...Page } } fragment Page on QueueConnection { nodes { ...One } }"
            " fragment One on Queue { messages @include(if: true) { nodes { id } } }",
            ["get_queues", "browse_each"],
        ),
        ("{ " + ALIASES + " }", ["get_queues", "browse_each"]),
        ("{ allQueues { messages(limit: 5) { id } } }", ["get_queues", "browse_each"]),
        (
            '{ allQueues { messages(limit: 5, offset: 1, status: "pending") { id } } }',
            ["get_queues", "browse_each", "browse_each"],
        ),
    ],
    ids=["nodes", "two aliases", "nodes and edges", "fragments", "ten aliases", "plain", "offset"],
)
async def test_a_hundred_queues_cost_a_few_calls_of_the_storage(tmp_path, plugins, query, calls):
    async with graph(tmp_path, plugins=plugins) as one:
        # All at once, and so with few commits.
        await asyncio.gather(*map(one.make, NAMES))
        await asyncio.gather(*(one.publish(name, "1", "2", "3") for name in NAMES))
        heard = listen(one)
        await one.data(query)
    assert heard == calls


async def test_what_an_operation_that_is_cut_short_asked_for_is_not_gone_on_with(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("a", "b")
        begun, ended = asyncio.Event(), asyncio.Event()

        async def hold(*_, **__):
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        one.storage.browse_each = hold
        asking = asyncio.ensure_future(
            one.ask("{ queues { nodes { messages { nodes { id } } } } }")
        )
        await begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await ended.wait()
    assert asking.cancelled()


async def test_a_queue_that_fails_takes_no_other_along(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("a", "b")
        one.scopes = frozenset({"read:a", "publish:b"})
        result = await one.ask(
            '{ a: queue(name: "a") { messages { nodes { id } } }'
            ' b: queue(name: "b") { name } c: queue(name: "c") { name } d: queue(name: "-") { name } }'
        )
    assert result["data"] == {"a": {"messages": {"nodes": []}}, "b": None, "c": None, "d": None}
    codes = {error["path"][0]: error["extensions"]["code"] for error in result["errors"]}
    assert codes == {"b": "forbidden", "c": "queue-not-found", "d": "invalid"}


async def test_a_storage_that_is_away_is_told_to_each_field(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("a", "b")

        async def fail(*_, **__):
            raise Unavailable("the disk is away")

        one.storage.browse_each = fail
        result = await one.ask("{ queues { nodes { name messages { nodes { id } } } } }")
    assert [node["name"] for node in result["data"]["queues"]["nodes"]] == ["a", "b"]
    assert [error["extensions"]["code"] for error in result["errors"]] == ["unavailable"] * 2
