"""The engine: opened, closed, and more than one of them in a process."""

import asyncio
import gc
import weakref

from broker_graphql.assembly import RESOLVERS as ALL
from broker_graphql.engine import FIELDS_A_TURN, Engine
from graphql import build_schema
from graphs import graph
from tartiflette.schema.registry import SchemaRegistry
from twins import open_twins

SDL = "enum Colour { RED } scalar Odd type Query { name: String colour: Colour odd: Odd }"
RESOLVERS = {"Query.name": lambda _, __: "a"}


async def test_what_is_closed_leaves_nothing_behind():
    before = dict(SchemaRegistry._schemas)
    left = []
    for _ in range(50):
        engine = Engine(build_schema(SDL), RESOLVERS)
        await engine.open()
        left.append(weakref.ref(engine._engine))
        await engine.close()
    del engine
    gc.collect()
    assert before == SchemaRegistry._schemas
    assert [one() for one in left if one() is not None] == []


async def test_it_is_opened_again():
    two = await open_twins(lambda: build_schema(SDL), RESOLVERS)
    await two.engine.close()
    await two.engine.open()
    ours, theirs = await two.both("{ name }")
    assert ours == theirs
    await two.engine.close()


async def test_engines_are_opened_while_others_are_closed():
    before = dict(SchemaRegistry._schemas)
    first, second = ([Engine(build_schema(SDL), RESOLVERS) for _ in range(4)] for _ in "ab")
    await asyncio.gather(*(engine.open() for engine in first))
    pairs = zip(first, second, strict=True)
    await asyncio.gather(*(one for old, new in pairs for one in (new.open(), old.close())))
    assert len(SchemaRegistry._schemas) == len(before) + 4
    await asyncio.gather(*(engine.close() for engine in second))
    assert before == SchemaRegistry._schemas


async def test_an_app_goes_on_when_another_of_its_process_is_closed(tmp_path):
    query = '{ queue(name: "orders") { name } me { subject } }'
    async with graph(tmp_path / "a") as one:
        await one.make("orders")
        async with graph(tmp_path / "b") as other:
            asked = [one.ask(query), other.ask(query)] * 5
            assert [bool(result["data"]["queue"]) for result in await asyncio.gather(*asked)] == [
                True,
                False,
            ] * 5
        assert await one.data(query) == {"queue": {"name": "orders"}, "me": {"subject": "somebody"}}


async def test_a_document_of_a_thousand_names_keeps_its_order(tmp_path):
    selected = " ".join(f"n{number}: __typename" for number in range(300))
    async with graph(tmp_path, max_aliases=1000, max_root_fields=1000) as one:
        data = await one.data("{ %s }" % selected)
    assert list(data) == [f"n{number}" for number in range(300)]


async def test_others_have_their_turn_while_a_long_answer_is_made(tmp_path, monkeypatch):
    told = turns = most = 0

    def content(_, __):
        nonlocal told
        told += 1

    def count_turn():
        nonlocal told, turns, most
        turns, most, told = turns + 1, max(most, told), 0
        loop.call_soon(count_turn)

    monkeypatch.setitem(ALL, "Message.content", content)
    loop = asyncio.get_running_loop()
    names = [f"q{number}" for number in range(20)]
    async with graph(tmp_path) as one:
        await one.make(*names)
        for name in names:
            await one.publish(name, *["a"] * 20)
        loop.call_soon(count_turn)
        contents = " ".join(f"c{number}: content" for number in range(10))
        await one.data("{ queues { nodes { messages { nodes { %s } } } } }" % contents)
    fields = 20 * 20 * 10
    assert turns >= fields // (FIELDS_A_TURN + len(names))
    # Each of the tasks, of which there is one a queue, goes on with the field that waited.
    assert most <= FIELDS_A_TURN + len(names)
