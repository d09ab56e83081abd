"""Several brokers on one storage and one Redis: what happens on one, clients of all learn."""

import asyncio
import random

import pytest
from broker_nodes import SHARED_STORAGE, broker_node, broker_nodes, data

MOVES = 300


@pytest.fixture(autouse=True)
def shared(install):
    install("shared", SHARED_STORAGE)


async def waiting(node, count=1):
    """Return once so many requests wait for messages on a node."""
    lines = node.assembly.broker._runtime.waiting._lines
    while sum(map(len, lines.values())) < count:
        await asyncio.sleep(0)


@pytest.fixture
def never_look_again(monkeypatch):
    """Let no long-poll find by itself what it is not woken for."""
    monkeypatch.setattr("broker.operations.leasing.SHARED_RECHECK_MS", 60_000)


async def test_a_publish_on_one_node_wakes_a_long_poll_on_another(
    tmp_path, valkey, never_look_again
):
    async with broker_nodes(tmp_path, valkey.url, valkey.url) as (a, b):
        await a.make("q")
        consuming = asyncio.create_task(b.consume("q"))
        await waiting(b)
        await a.publish("q", "from a")

        assert await consuming == "from a"


async def test_a_release_on_one_node_wakes_a_long_poll_on_another(
    tmp_path, valkey, never_look_again
):
    async with broker_nodes(tmp_path, valkey.url, valkey.url) as (a, b):
        await a.make("q")
        await a.publish("q")
        message = (await a.http.post("/queues/q/messages/lease", json={})).json()["messages"][0]
        consuming = asyncio.create_task(b.consume("q"))
        await waiting(b)
        await a.http.post("/messages/settle", json={"release": [message["receipt"]]})

        assert await consuming == "m"


async def test_resuming_a_queue_on_one_node_wakes_all_long_polls_on_another(
    tmp_path, valkey, never_look_again
):
    async with broker_nodes(tmp_path, valkey.url, valkey.url) as (a, b):
        await a.make("q")
        await a.http.post("/queues/q/pause")
        await a.publish("q")
        await a.publish("q")
        consuming = [asyncio.create_task(b.consume("q")) for _ in range(2)]
        await waiting(b, 2)
        await a.http.post("/queues/q/resume")

        assert await asyncio.gather(*consuming) == ["m", "m"]


async def test_a_publish_on_one_node_is_told_on_all(tmp_path, valkey):
    urls = [valkey.url] * 3
    async with broker_nodes(tmp_path, *urls) as (a, b, c):
        await a.make("q")
        async with (
            a.events(event="message.*") as of_a,
            b.events(event="message.*") as of_b,
            c.events(path="/stream/q") as of_c,
        ):
            for stream in (of_a, of_b, of_c):
                await anext(stream)
            ids = [await node.publish("q") for node in (a, b, c)]
            told = [[await anext(stream) for _ in ids] for stream in (of_a, of_b, of_c)]

    assert [data(event)["message_id"] for event in told[0]] == ids
    assert list(map(vars, told[0])) == list(map(vars, told[1]))
    assert [event.event for event in told[0]] == ["message.published"] * 3
    assert [event.id for event in told[2]] == [event.id for event in told[0]]
    assert [data(event)["event"] for event in told[2]] == ["message.published"] * 3


async def test_a_publish_on_one_node_reaches_who_consumes_a_stream_of_another(
    tmp_path, valkey, never_look_again
):
    async with broker_nodes(tmp_path, valkey.url, valkey.url) as (a, b):
        await a.make("q")
        async with b.events(path="/queues/q/messages/stream") as stream:
            await waiting(b)
            await a.publish("q", "from a")

            assert data(await anext(stream))["content"] == "from a"


async def test_a_node_replays_what_happened_elsewhere_before_it_started(tmp_path, valkey):
    async with broker_node(tmp_path / "a", valkey.url) as a:
        await a.make("q")
        async with a.events() as stream:
            place = (await anext(stream)).id
        ids = [await a.publish("q") for _ in range(5)]
        async with (
            broker_node(tmp_path / "b", valkey.url) as b,
            b.events(place, event="message.published") as stream,
        ):
            opening = await anext(stream)
            replayed = [data(await anext(stream))["message_id"] for _ in ids]
            ids.append(await b.publish("q"))
            replayed.append(data(await anext(stream))["message_id"])

    assert data(opening) == {"resumed_from": place, "gap": False}
    assert replayed == ids


async def test_a_client_goes_from_node_to_node_and_misses_nothing(tmp_path, valkey):
    draw = random.Random(11)
    async with broker_nodes(tmp_path, *[valkey.url] * 3) as nodes:
        await nodes[0].make("q")
        await nodes[0].make("other")
        wanted = {"queue": "q", "event": "message.published"}
        published, received = [], []
        room = asyncio.Semaphore(150)

        async def publish():
            while True:
                await room.acquire()
                await draw.choice(nodes).publish("other")
                published.append(await draw.choice(nodes).publish("q"))

        async with draw.choice(nodes).events() as stream:
            first = last = (await anext(stream)).id
        publishing = asyncio.create_task(publish())
        for _ in range(MOVES):
            async with draw.choice(nodes).events(last, **wanted) as stream:
                opening = await anext(stream)
                assert data(opening)["gap"] is False
                for _ in range(draw.choice([0, 0, 1, 2, 5])):
                    event = await anext(stream)
                    last = event.id
                    received.append(data(event)["message_id"])
                    room.release()
        publishing.cancel()
        await asyncio.wait([publishing])
        async with draw.choice(nodes).events(first, **wanted) as stream:
            await anext(stream)
            whole = [data(await anext(stream))["message_id"] for _ in received]

    assert received == whole
    assert len(set(received)) == len(received) > MOVES
    assert set(received) <= {*published}


async def test_a_ticket_of_one_node_opens_one_stream_of_another(tmp_path, valkey):
    async with broker_nodes(tmp_path, valkey.url, valkey.url) as (a, b):
        ticket = (await a.http.post("/events/ticket")).json()["ticket"]
        async with b.events(ticket=ticket) as stream:
            assert (await anext(stream)).event == "open"
        again = [await node.http.get("/events", params={"ticket": ticket}) for node in (a, b)]

    assert [(answer.status_code, answer.json()["code"]) for answer in again] == [
        (401, "invalid-ticket")
    ] * 2


async def test_nodes_with_another_prefix_know_nothing_of_each_other(tmp_path, valkey):
    async with (
        broker_node(tmp_path / "a", valkey.url, sse={"redis_prefix": "one"}) as a,
        broker_node(tmp_path / "b", valkey.url, sse={"redis_prefix": "two"}) as b,
    ):
        async with b.events() as stream:
            await anext(stream)
            await a.make("of-a")
            await b.make("of-b")
            assert data(await anext(stream))["queue"] == "of-b"
        keys = valkey.ask("KEYS", "*")

    assert sorted(keys) == [b"{one}:events", b"{one}:order", b"{two}:events", b"{two}:order"]
