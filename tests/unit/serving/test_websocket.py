"""WebSockets of Hypercorn, by a client that says what it likes and a handler that takes it."""

import asyncio
import zlib

import pytest
from hypercorned import serving
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from broker.handshake import MESSAGE_BOUND, MAX_FIRST_BYTES


class Handler:
    """Accepts, and keeps what comes."""

    def __init__(self, *, closes=False, takes=MAX_FIRST_BYTES):
        self.events = asyncio.Queue()
        self._closes = closes
        self._takes = takes

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        scope[MESSAGE_BOUND].size = self._takes
        await send(
            {"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)}
        )
        if self._closes:
            await send({"type": "websocket.close", "code": 4400, "reason": "why"})
            return
        event = None
        while event is None or event["type"] != "websocket.disconnect":
            event = await receive()
            self.events.put_nowait(event)

    async def next(self):
        while (event := await self.events.get())["type"] == "websocket.connect":
            pass
        return event.get("text") or event.get("code")


def frame(first, payload):
    """A frame with any first byte, which a client that knows the protocol would not send."""
    assert len(payload) < 126, "a longer one has another length"
    return bytes([first, 0x80 | len(payload), *bytes(4)]) + payload


def address_of(server):
    host, port = server
    return f"ws://{host}:{port}/"


async def test_a_message_in_pieces_comes_whole():
    handler = Handler()
    async with serving(handler) as server, connect(address_of(server)) as client:
        await client.send(["a", "b" * 100, "c"])
        assert await handler.next() == "a" + "b" * 100 + "c"


@pytest.mark.parametrize("pieces", [["x" * 5_000_000], ["x"] * 101])
async def test_a_message_that_is_too_large_is_not_waited_for(pieces):
    handler = Handler(takes=100)
    async with serving(handler) as server, connect(address_of(server)) as client:
        with pytest.raises(ConnectionClosedError, match="1009"):
            await client.send(pieces)
            await client.recv()
        assert await handler.next() == 1009


async def test_the_bound_is_of_one_message():
    handler = Handler(takes=100)
    async with serving(handler) as server, connect(address_of(server)) as client:
        for _ in range(10):
            await client.send("x" * 100)
            assert await handler.next() == "x" * 100


async def test_nothing_is_unpacked():
    handler = Handler()
    async with serving(handler) as server, connect(address_of(server)) as client:
        assert client.protocol.extensions == []
        packed = zlib.compress(b"x" * 10_000)[2:-4]
        client.transport.write(frame(0xC1, packed))
        with pytest.raises(ConnectionClosedError, match="1002"):
            await client.recv()
        assert await handler.next() == 1006


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frame(0x81, b"\xff\xfe"), "1007"),
        (frame(0x80, b"of nothing"), "1002"),
        (frame(0x85, b"unknown"), "1002"),
    ],
)
async def test_what_is_no_message_is_told_and_ends_it(raw, code):
    handler = Handler()
    async with serving(handler) as server, connect(address_of(server)) as client:
        client.transport.write(raw)
        with pytest.raises(ConnectionClosedError, match=code):
            await client.recv()
        assert await handler.next() == 1006


async def test_a_client_that_still_sends_is_not_cut_off_before_it_heard_why():
    async with serving(Handler(closes=True)) as server:
        reader, writer = await asyncio.open_connection(*server)
        writer.write(
            b"GET / HTTP/1.1\r\nhost: b\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(7) == b"\x88\x05" + (4400).to_bytes(2, "big") + b"why"
        for _ in range(10_000):
            writer.write(frame(0x81, b"x" * 100))
            await writer.drain()
        writer.write(frame(0x88, (4400).to_bytes(2, "big")))
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_ping_is_answered():
    async with serving(Handler()) as server, connect(address_of(server)) as client:
        await (await client.ping())


async def test_the_name_of_the_subprotocol_is_written_as_gql_looks_for_it():
    async with serving(Handler()) as server:
        async with connect(address_of(server), subprotocols=["a", "b"]) as client:
            assert ("Sec-WebSocket-Protocol", "a") in client.response.headers.raw_items()
