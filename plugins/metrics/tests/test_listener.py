"""The listener of its own: what it answers, to whom, and for how long."""

import asyncio
import errno
import socket
from contextlib import suppress

import pytest

from broker import CannotListen, Response
from broker_metrics import listener as module
from broker_metrics.config import Address
from broker_metrics.listener import Listener

LOCAL = Address("127.0.0.1", 0)


class House:
    """A listener whose handler answers with what it was asked, once it may."""

    def __init__(self, *, by_any_name=True):
        self.asked = []
        self.body = b"numbers"
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.listener = Listener(LOCAL, self._answer, by_any_name=by_any_name)

    async def _answer(self, request):
        self.asked.append(request)
        await self.may_answer.wait()
        return Response(body=self.body, headers=(("content-type", "text/plain"),))

    async def __aenter__(self):
        await self.listener.open()
        return self

    async def __aexit__(self, *_):
        await self.listener.close()

    async def connect(self):
        return await asyncio.open_connection(*self.listener.address)

    async def say(self, sent):
        reader, writer = await self.connect()
        writer.write(sent)
        answer = await reader.read()
        writer.close()
        return answer


async def test_a_request_is_answered_and_the_connection_ends():
    async with House() as house:
        answer = await house.say(
            b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\nX-Two: 1\r\n\r\n"
        )

    assert answer == (
        b"HTTP/1.1 200 \r\ncontent-type: text/plain\r\ncontent-length: 7\r\n"
        b"connection: close\r\n\r\nnumbers"
    )
    [request] = house.asked
    assert (request.method, request.path, request.peer) == ("GET", "/metrics", "127.0.0.1")
    assert request.headers == {"host": "a", "accept": "text/plain", "x-two": "1"}


async def test_head_is_answered_without_the_body():
    async with House() as house:
        answer = await house.say(b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: 7\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("line", "status"),
    [(b"GET / HTTP/1.1", 404), (b"GET /stats HTTP/1.1", 404), (b"POST /metrics HTTP/1.1", 405)],
)
async def test_there_is_nothing_else(line, status):
    async with House() as house:
        answer = await house.say(line + b"\r\nHost: a\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert house.asked == []


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHo st: a\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nA: " + b"a" * 100_000,
    ],
)
async def test_who_speaks_no_http_is_hung_up_on(sent):
    async with House() as house:
        reader, writer = await house.connect()
        writer.write(sent)
        try:
            answer = await reader.read()
        except ConnectionResetError:
            answer = b""
        writer.close()

    assert (answer, house.asked) == (b"", [])


HEAD = b" HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
        (b"GET /metrics" + HEAD + b"Content-Length: 5\r\n\r\nhello", 200),
        (b"GET /metrics" + HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 200),
        (b"GET /metrics" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 200),
        (b"GET /metrics" + HEAD + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
        (2 * (b"GET /metrics" + HEAD + b"\r\n"), 200),
        (b"POST /metrics" + HEAD + b"Content-Length: 300000\r\n\r\n" + b"x" * 200_000, 405),
        (b"CONNECT /metrics" + HEAD + b"\r\n", 405),
        (b"CONNECT a:1" + HEAD + b"\r\n", 404),
        (b"OPTIONS *" + HEAD + b"\r\n", 404),
        (b"GET http://a/metrics" + HEAD + b"\r\n", 404),
        (b"GET /%6detrics" + HEAD + b"\r\n", 404),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404),
    ],
)
async def test_an_odd_request_is_answered_once_and_fails_nothing(sent, status):
    failures = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with House() as house:
        reader, writer = await house.connect()
        writer.write(sent)
        line = await reader.readline()
        writer.close()
        assert (await house.say(b"GET /metrics" + HEAD + b"\r\n")).endswith(b"numbers")
    assert line.startswith(b"HTTP/1.1 %d " % status)
    assert failures == []


@pytest.mark.parametrize(
    ("host", "is_told"),
    [
        ("127.0.0.1:9464", True),
        ("127.0.0.1", True),
        ("localhost:1", True),
        ("LOCALHOST", True),
        ("[::1]:9464", True),
        ("192.0.2.7", True),
        ("evil.example", False),
        ("evil.example:9464", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example/@localhost", False),
        ("1", False),
        ("[::1", False),
        (":9464", False),
        ("", False),
    ],
)
async def test_by_a_name_that_a_page_could_have_nobody_is_told(host, is_told):
    async with House(by_any_name=False) as house:
        answer = await house.say(f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.1 200 " if is_told else b"HTTP/1.1 421 ")
    assert answer.endswith(b"numbers" if is_told else b"set plugins.metrics.token\n")
    assert len(house.asked) == is_told


async def test_who_is_too_old_to_name_a_host_is_told():
    async with House(by_any_name=False) as house:
        assert (await house.say(b"GET /metrics HTTP/1.0\r\n\r\n")).endswith(b"numbers")


@pytest.mark.parametrize("sent", [b"", b"GET /met", b"GET /metrics" + HEAD + b"\r\n"])
async def test_who_resets_the_connection_takes_no_place(monkeypatch, sent):
    monkeypatch.setattr(module, "MOST", 1)
    failures = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with House() as house:
        for _ in range(20):
            _, writer = await house.connect()
            writer.write(sent)
            writer.transport.abort()
        answer = b""
        while not answer.endswith(b"numbers"):
            with suppress(ConnectionResetError):
                answer = await house.say(b"GET /metrics" + HEAD + b"\r\n")
    assert failures == []


async def test_who_gets_no_answer_in_time_is_hung_up_on(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
    async with House() as house:
        house.may_answer.clear()
        assert await house.say(b"GET /metrics" + HEAD + b"\r\n") == b""


async def test_an_answer_that_nobody_reads_in_time_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.5)
    async with House() as house:
        house.body = bytes(64_000_000)  # more than the system takes for both sides
        reading, writer = await house.connect()
        writer.transport.pause_reading()
        writer.write(b"GET /metrics" + HEAD + b"\r\n")
        # By the same rule, but later.
        while not house.asked:
            await asyncio.sleep(0)
        assert await house.say(b"") == b""
        writer.transport.resume_reading()
        received = 0
        with suppress(ConnectionResetError):
            while piece := await reading.read(1_000_000):
                received += len(piece)
        writer.close()

    assert received < len(house.body)


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\nX: "])
async def test_who_does_not_finish_asking_is_hung_up_on(monkeypatch, sent):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 1000)
    monkeypatch.setattr(module, "HEAD_SECONDS", 0.01)
    async with House() as house:
        assert await house.say(sent) == b""


async def test_who_has_asked_may_wait_for_longer_than_one_may_take_to_ask(monkeypatch):
    monkeypatch.setattr(module, "HEAD_SECONDS", 0.5)
    async with House() as house:
        house.may_answer.clear()
        asking = asyncio.ensure_future(house.say(b"GET /metrics" + HEAD + b"\r\n"))
        while not house.asked:
            await asyncio.sleep(0)
        assert await house.say(b"") == b""
        house.may_answer.set()

        assert (await asking).endswith(b"numbers")


async def test_who_asks_at_once_takes_the_place_of_who_tries_for_the_longest(monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    async with House() as house:
        slow = [await house.connect() for _ in range(2)]
        for _, writer in slow:
            writer.write(b"GET /metrics HTTP/1.1\r\n")

        assert (await house.say(b"GET /metrics" + HEAD + b"\r\n")).endswith(b"numbers")
        (first, _), (second, writer) = slow
        with suppress(ConnectionResetError):
            assert await first.read() == b""
        writer.write(b"Host: a\r\n\r\n")
        assert (await second.read()).endswith(b"numbers")
        for _, writer in slow:
            writer.close()


async def test_of_a_crowd_that_comes_at_once_nobody_is_kept_but_who_has_a_place(monkeypatch):
    monkeypatch.setattr(module, "MOST", 1)
    async with House() as house:
        crowd = [socket.create_connection(house.listener.address) for _ in range(20)]
        for one in crowd:
            one.sendall(b"GET /metrics" + HEAD + b"\r\n")
        told = [await asyncio.to_thread(all_of, one) for one in crowd]

    assert told[:-1] == [b""] * 19
    assert told[-1].endswith(b"numbers")


def all_of(connection):
    """Return what comes until the other side hangs up, however it does so."""
    with connection, connection.makefile("rb") as stream, suppress(ConnectionResetError):
        return stream.read()
    return b""


async def test_no_more_are_answered_at_one_time_than_may_be(monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    async with House() as house:
        house.may_answer.clear()
        ask = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
        first, second = (asyncio.ensure_future(house.say(ask)) for _ in range(2))
        while len(house.asked) < 2:
            await asyncio.sleep(0)
        reader, writer = await house.connect()
        assert await reader.read() == b""
        writer.close()
        house.may_answer.set()

        assert (await first) == (await second) != b""


async def test_closing_hangs_up_on_those_who_wait():
    async with House() as house:
        house.may_answer.clear()
        asking = asyncio.ensure_future(house.say(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"))
        while not house.asked:
            await asyncio.sleep(0)

    assert await asking == b""
    await house.listener.close()
    with pytest.raises(ConnectionRefusedError):
        await house.connect()


async def test_an_address_that_is_taken_is_named_and_so_is_its_key():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen) as refused:
            await Listener(Address("127.0.0.1", port), None, by_any_name=False).open()

    assert str(refused.value).startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert str(refused.value).endswith(
        "stop what listens there, or choose another address with plugins.metrics.listen"
    )
    assert refused.value.__cause__.errno == errno.EADDRINUSE
