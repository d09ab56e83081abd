"""Connections of Hypercorn, with apps and clients that a broker's tests cannot have."""

import asyncio
import gc
import socket
import weakref

import pytest
from hypercorned import serving

from broker.serving import with_hypercorn

REQUEST = b"GET / HTTP/1.1\r\nhost: b\r\n\r\n"


def answering(size):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        length = (b"content-length", b"%d" % size)
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": b"x" * size})

    return app


async def connect(address):
    """Return a connection whose client takes little before it reads."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, address)
    await asyncio.get_running_loop().sock_sendall(connection, REQUEST)
    return connection


async def read_some(connection):
    return await asyncio.get_running_loop().sock_recv(connection, 100)


async def test_who_does_not_read_the_end_of_an_answer_loses_the_connection(monkeypatch):
    monkeypatch.setattr(with_hypercorn, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(with_hypercorn, "FAREWELL_SECONDS", 0.01)
    # Less than the server's buffer holds, so the app has done its part; more than the system's.
    async with serving(answering(60_000)) as address:
        with await connect(address), await connect(address) as second:
            assert (await read_some(second)).startswith(b"HTTP/1.1 200 ")


async def test_who_reads_nothing_is_cut_off_after_the_grace(monkeypatch):
    monkeypatch.setattr(with_hypercorn, "FAREWELL_SECONDS", 0.01)
    async with serving(answering(10_000_000), grace_seconds=0.01) as address:
        connection = await connect(address)
        assert (await read_some(connection)).startswith(b"HTTP/1.1 200 ")
    connection.close()


async def test_who_has_gone_gives_the_place_back_at_once(monkeypatch):
    monkeypatch.setattr(with_hypercorn, "IDLE_SECONDS", 3600)
    async with serving(answering(10)) as address:
        for _ in range(3):
            with await connect(address) as connection:
                assert (await read_some(connection)).startswith(b"HTTP/1.1 200 ")


async def test_a_connection_that_has_ended_needs_no_collector(monkeypatch):
    ended = []

    class Watched(with_hypercorn._Connection):
        def __init__(self, *args):
            super().__init__(*args)
            ended.append(weakref.ref(self))

    monkeypatch.setattr(with_hypercorn, "_Connection", Watched)
    gc.disable()
    try:
        async with serving(answering(10)) as address:
            for _ in range(2):
                with await connect(address) as connection:
                    assert (await read_some(connection)).startswith(b"HTTP/1.1 200 ")
        # The last one may still stand in what ends with the loop.
        assert ended[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("size", [10, 60_000])
async def test_an_app_that_knows_no_lifespan_is_served(size):
    async with serving(answering(size)) as address:
        with await connect(address) as connection:
            assert (await read_some(connection)).startswith(b"HTTP/1.1 200 ")
