"""The client of the kit: what of HTTP it speaks, and how it leaves."""

import asyncio

import pytest
from quart import Blueprint, request, websocket

from broker import Response, Route, Stream, Transport, hookimpl
from broker.testing.connection import turns
from broker.testing import ClosedError, RefusedError


class Ticks(Stream):
    """Sends what is put into it, and remembers that it was closed."""

    def __init__(self, identity, pieces):
        super().__init__(identity)
        self.pieces = list(pieces)
        self.was_closed = False

    async def take(self):
        return self.pieces.pop(0) if self.pieces else b""

    async def close(self):
        self.was_closed = True


class Parrot(Transport):
    """Says again what it hears, in every form that HTTP has."""

    def __init__(self, broker):
        self.broker = broker
        self.heard = []
        self.streams = []
        self.reached = asyncio.Event()
        self.cancelled = asyncio.Event()

    def routes(self):
        return (
            Route("POST", "/say", self.say),
            Route("GET", "/stream", self.stream, hot=True, gives=True),
            Route("GET", "/wait", self.wait, hot=True, gives=True),
        )

    async def say(self, request):
        self.heard.append(request)
        return Response(status=201, body=request.body, headers=(("x-said", "yes"),))

    async def stream(self, request):
        identity = await self.broker.identify(None)
        self.streams.append(Ticks(identity, [b"one", b"two"]))
        return Response(stream=self.streams[-1])

    async def wait(self, request):
        self.reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    def blueprint(self):
        blueprint = Blueprint("parrot", __name__)

        @blueprint.websocket("/talk")
        async def talk():
            await websocket.accept(subprotocol=next(iter(websocket.requested_subprotocols), None))
            while (said := await websocket.receive()) != "bye":
                await websocket.send(said)
            await websocket.close(4000, "bye yourself")

        return blueprint


class Plugin:
    @hookimpl
    def provide_transport(self, broker):
        self.parrot = Parrot(broker)
        return self.parrot


@pytest.fixture
def plugin():
    return Plugin()


@pytest.fixture
def client(broker_factory, plugin):
    return broker_factory(added={"parrot": plugin})


@pytest.mark.parametrize(
    ("options", "kind", "body"),
    [
        ({"json": {"a": 1}}, "application/json", b'{"a":1}'),
        ({"body": "tea ☕"}, "text/plain; charset=utf-8", "tea ☕".encode()),
        ({"body": b"\x00"}, "application/octet-stream", b"\x00"),
        ({"body": b"<a/>", "headers": {"Content-Type": "text/xml"}}, "text/xml", b"<a/>"),
        ({}, None, b""),
    ],
)
async def test_a_body_is_sent_as_what_it_is(client, plugin, options, kind, body):
    answer = await client.post("/say", **options)

    [heard] = plugin.parrot.heard
    assert (heard.headers.get("content-type"), heard.body) == (kind, body)
    assert (answer.status, answer.headers["x-said"], answer.body) == (201, "yes", body)


async def test_a_path_and_its_query_come_as_they_were_meant(client, plugin):
    await client.post("/s%61y?a=1&a=%26&b=", peer="198.51.100.1")

    [heard] = plugin.parrot.heard
    assert (heard.path, heard.query, heard.peer) == (
        "/say",
        {"a": ["1", "&"], "b": [""]},
        "198.51.100.1",
    )


async def test_a_token_of_a_request_goes_before_that_of_the_client(client, plugin):
    client.token = "mine"

    for token in (None, "another", ""):
        await client.post("/say", token=token)

    sent = [heard.headers.get("authorization") for heard in plugin.parrot.heard]
    assert sent == ["Bearer mine", "Bearer another", None]


async def test_a_stream_is_taken_piece_by_piece_and_left_at_will(client, plugin):
    async with client.stream("GET", "/stream") as exchange:
        assert exchange.status == 200
        assert [await exchange.next(), await exchange.next()] == [b"one", b"two"]
        [stream] = plugin.parrot.streams
        assert not stream.was_closed

    assert stream.was_closed


async def test_the_rest_of_a_stream_comes_when_it_ends(client, plugin):
    async with client.stream("GET", "/stream") as exchange:
        assert await exchange.next() == b"one"
        reading = asyncio.ensure_future(exchange.rest())
        await turns()
        client.broker.drain()

        assert await reading == b"two"
        assert await exchange.next() == b""


async def test_a_client_that_takes_nothing_holds_the_broker_up(client, plugin):
    async with client.stream("GET", "/stream"):
        [stream] = plugin.parrot.streams
        stream.pieces += [b"more"] * 100
        for _ in range(100):
            await asyncio.sleep(0)

        assert len(stream.pieces) > 97


async def test_a_request_that_is_given_up_is_a_client_that_goes(client, plugin):
    waiting = asyncio.ensure_future(client.get("/wait"))
    await asyncio.wait([asyncio.ensure_future(plugin.parrot.reached.wait())])
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert plugin.parrot.cancelled.is_set()


async def test_a_request_can_be_sent_and_left(client, plugin):
    exchange = client.begin("GET", "/wait")
    await plugin.parrot.reached.wait()
    assert exchange.is_served

    await exchange.leave()

    assert not exchange.is_served
    assert plugin.parrot.cancelled.is_set()


async def test_a_websocket_carries_texts_and_bytes_both_ways(client):
    async with client.websocket("/talk", subprotocols=["tea", "coffee"]) as socket:
        assert socket.subprotocol == "tea"
        for said in ("hello", b"\x00\xff"):
            socket.send(said)
            assert await socket.receive() == said


async def test_the_end_of_a_websocket_says_why(client):
    async with client.websocket("/talk") as socket:
        socket.send("bye")

        with pytest.raises(ClosedError, match="closed the WebSocket: 4000 bye yourself") as closed:
            await socket.receive()
    assert (closed.value.code, closed.value.reason) == (4000, "bye yourself")


async def test_a_websocket_that_is_refused_raises_the_answer(client):
    with pytest.raises(RefusedError) as refused:
        async with client.websocket("/talk", headers={"origin": "https://elsewhere.example"}):
            pass

    assert refused.value.answer.status == 403
    assert refused.value.answer.json()["code"] == "cross-site"


async def test_bytes_are_published_as_they_are(client):
    await client.create_queue("q")
    await client.publish("q", b"\x00\xff")

    [leased] = await client.lease("q")
    assert leased["content_base64"] == "AP8="


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        ("ack", {}, "message.acked"),
        ("release", {}, "message.released"),
        ("retry", {"delay": 1}, "message.retried"),
        ("extend", {"seconds": 60}, "message.extended"),
        ("reject", {"reason": "bad"}, "message.rejected"),
    ],
)
async def test_a_lease_can_be_settled_in_every_way(client, recorder, kind, fields, told):
    await client.create_queue("q")
    await client.publish("q", "tea")
    [leased] = await client.lease("q")

    await client.settle(leased["receipt"], kind, **fields)

    assert told in recorder.told("q")


async def test_a_lease_that_is_not_settled_is_told(client):
    await client.create_queue("q")
    await client.publish("q", "tea")
    [leased] = await client.lease("q")
    await client.ack(leased["receipt"])

    with pytest.raises(RefusedError, match="wrong_state"):
        await client.settle(leased["receipt"], "release")
