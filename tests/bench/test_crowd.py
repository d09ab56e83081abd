"""The hostile crowd: what each kind sends, and that who is sent away comes again."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from bench.crowd import Job, run

REFUSAL = b"HTTP/1.1 400 \r\nContent-Length: 2\r\n\r\n{}"
LAST_REFUSAL = b"HTTP/1.1 400 \r\nConnection: close\r\n\r\n"
START = b"POST /queues/q/messages HTTP/1.1\r\nhost: b\r\n"


@asynccontextmanager
async def attacked(kind, **options):
    """Let a crowd come; yield it, and the queue of its connections."""
    came, writers = asyncio.Queue(), []

    async def serve(reader, writer):
        writers.append(writer)
        await came.put((reader, writer))

    options = {"connections": 1, "rate": 1e6, "pause_seconds": 0, **options}
    async with await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20) as server:
        port = server.sockets[0].getsockname()[1]
        crowd = asyncio.ensure_future(run(Job(port=port, kind=kind, **options)))
        try:
            yield crowd, came
        finally:
            crowd.cancel()
            await asyncio.wait((crowd,))
            for writer in writers:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.partition(b"content-length: ")[2].split(b"\r")[0]
    return head, await reader.readexactly(int(length or 0))


async def test_idle_connections_say_nothing_and_come_again_when_they_are_ended(capsys):
    async with attacked("idle", connections=3) as (_, came):
        (reader, writer), *_ = [await came.get() for _ in range(3)]
        writer.close()
        await came.get()
        assert await reader.read() == b""
        assert capsys.readouterr().out == "\n"
        assert came.empty()


async def test_a_connection_that_is_kept_alive_asks_once():
    async with attacked("kept alive") as (_, came):
        reader, writer = await came.get()
        head, _ = await read_request(reader)
        assert head == b"GET /healthz HTTP/1.1\r\nhost: b\r\n\r\n"
        writer.write(b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\n{}")
        writer.write_eof()
        await came.get()
        assert await reader.read() == b""


@pytest.mark.parametrize(
    ("kind", "start", "part"),
    [
        ("slow heads", START, b"x-more: 1\r\n"),
        (
            "slow bodies",
            START + b"content-type: application/json\r\ncontent-length: 1048576\r\n\r\n",
            b" ",
        ),
    ],
)
async def test_slow_requests_go_on_until_they_are_ended(kind, start, part):
    async with attacked(kind) as (_, came):
        reader, writer = await came.get()
        assert await reader.readexactly(len(start + 5 * part)) == start + 5 * part
        writer.write(LAST_REFUSAL)
        writer.close()
        await came.get()


@pytest.mark.parametrize(
    ("kind", "head_bytes", "field", "body_bytes"),
    [
        ("long heads", 80_045, b"\r\nx-line: ", 0),
        ("bad tokens", 137, b"\r\nauthorization: Bearer ", 1_000_014),
    ],
)
async def test_what_is_refused_is_asked_again(kind, head_bytes, field, body_bytes):
    async with attacked(kind, content_bytes=1_000_000) as (_, came):
        reader, writer = await came.get()
        for answer in (REFUSAL, LAST_REFUSAL):
            head, body = await read_request(reader)
            assert head.startswith(START)
            assert field in head
            assert (len(head), len(body)) == (head_bytes, body_bytes)
            writer.write(answer)
        reader, _ = await came.get()
        assert (await read_request(reader))[0] == head


async def test_a_long_body_is_announced_and_begun():
    async with attacked("long bodies") as (_, came):
        reader, _ = await came.get()
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.endswith(b"\r\ncontent-length: 16777217\r\n\r\n")
        assert await reader.readexactly(100_000) == bytes(100_000)


async def test_a_crowd_that_is_served_gives_up():
    async with attacked("bad tokens") as (crowd, came):
        _, writer = await came.get()
        writer.write(b"HTTP/1.1 201 \r\n\r\n")
        with pytest.raises(ExceptionGroup) as caught:
            await crowd
    assert caught.group_contains(RuntimeError, match="the server took what it should have refused")
