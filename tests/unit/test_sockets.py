"""WebSockets of blueprints, by a server's messages."""

import asyncio
import json

import pytest
from asgi import mounted, no_task_is_left, settle  # noqa: F401  # a fixture for all that is here
from misbehaving import odd_errors
from quart import Blueprint, abort, websocket

from broker import MessageTooLarge, Overloaded, read_handshake, sockets
from broker.extend import Transport
from broker.handshake import MAX_FIRST_BYTES, MESSAGE_BOUND, MessageBound
from broker.isolation import Failures
from broker.status import Served
from broker.testing import ManualClock

CONNECT = {"type": "websocket.connect"}
GONE = {"type": "websocket.disconnect", "code": 1006}


def text(value):
    return {"type": "websocket.receive", "text": value}


class Server:
    """A server that has one client, whose WebSocket one handler serves."""

    def __init__(self, handler, *incoming, draining=False, stuck_at=None, **headers):
        self.incoming = asyncio.Queue()
        for message in (CONNECT, *incoming):
            self.incoming.put_nowait(message)
        self.received = []
        self.sent = []
        self.stuck_at = stuck_at
        self.receiving = 0
        self.served = Served()
        self.failures = Failures(ManualClock())
        parts = {"served": self.served, "failures": self.failures, "draining": draining}
        self.app = mounted(("plugin", Plugin(handler)), **parts)
        fields = {"host": "b:8777", **headers}
        self.scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/socket",
            "raw_path": b"/socket",
            "root_path": "",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": ("203.0.113.7", 5),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }

    def begin(self):
        return asyncio.ensure_future(self.app(self.scope, self.receive, self.send))

    async def until_gone(self):
        """Serve until all is done, and the client goes."""
        serving = self.begin()
        await settle()
        await settle()
        self.incoming.put_nowait(GONE)
        await serving

    async def receive(self):
        self.receiving += 1
        try:
            message = await self.incoming.get()
        finally:
            self.receiving -= 1
        self.received.append(message)
        return message

    async def send(self, message):
        if message["type"] == "websocket.close":
            assert not self.receiving, "Granian would never send it"
        if message["type"] == self.stuck_at:
            await asyncio.Event().wait()
        self.sent.append(message)

    @property
    def kinds(self):
        return [message["type"].removeprefix("websocket.") for message in self.sent]

    @property
    def problem(self):
        [start, body] = self.sent
        assert start["type"] == "websocket.http.response.start"
        assert (b"content-type", b"application/problem+json") in start["headers"]
        return start["status"], json.loads(body["body"])["code"]


class Plugin(Transport):
    def __init__(self, handler):
        self._handler = handler

    def blueprint(self):
        blueprint = Blueprint("plugin", __name__)
        blueprint.add_websocket("/socket", view_func=self._handler)
        return blueprint


async def echo():
    await websocket.accept()
    while True:
        message = await websocket.receive()
        await websocket.send(message if isinstance(message, str) else repr(message))


async def wait_for_ever():
    await websocket.accept()
    await asyncio.Event().wait()


async def test_a_handler_gets_each_message_and_ends_with_its_client():
    empty = {"type": "websocket.receive", "bytes": b""}
    server = Server(echo, text("a"), text(""), empty)
    await server.until_gone()

    assert [m.get("text") for m in server.sent] == [None, "a", "", "b''"]
    assert server.served.requests() == {("*", "WEBSOCKET", "101"): 1}


async def refuse():
    abort(418)


async def answer():
    return "no socket", 409


async def close():
    await websocket.close(1000)


async def wait_unaccepted():
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("handler", "path", "status"),
    [
        (echo, "/nowhere", 404),
        (refuse, "/socket", 418),
        (answer, "/socket", 409),
        (close, "/socket", 403),
        (wait_unaccepted, "/socket", 499),
    ],
)
async def test_a_handshake_is_counted_once_whatever_becomes_of_it(handler, path, status):
    server = Server(handler)
    server.scope["path"] = path
    await server.until_gone()

    assert server.served.requests() == {("*", "WEBSOCKET", str(status)): 1}
    assert server.served.durations.read() == {}


async def test_a_handler_finds_who_asked():
    seen = []

    async def handler():
        handshake = read_handshake(websocket.scope)
        seen.append(handshake.request)
        await websocket.accept()
        await websocket.close(1000)

    server = Server(handler, authorization="Bearer x", **{"x-request-id": "r-1"})
    await server.begin()

    [request] = seen
    assert (request.method, request.path, request.peer) == ("GET", "/socket", "203.0.113.7")
    assert (request.request_id, request.headers["authorization"]) == ("r-1", "Bearer x")


async def test_of_what_a_client_sends_one_message_waits_for_the_handler():
    server = Server(wait_for_ever, *[text(str(number)) for number in range(100)])
    serving = server.begin()
    await settle()

    assert len(server.received) == 3  # the handshake, one that waits, one that finds no room
    serving.cancel()
    await asyncio.wait([serving])


@pytest.mark.parametrize("size", [MAX_FIRST_BYTES, MAX_FIRST_BYTES + 1])
async def test_a_message_is_small_until_the_handler_takes_more(size):
    server = Server(echo, text("x" * size))
    await server.until_gone()

    if size == MAX_FIRST_BYTES:
        assert server.kinds == ["accept", "send"]
    else:
        assert server.sent[1] == {
            "type": "websocket.close",
            "code": 1009,
            "reason": "the message is too large",
        }


async def test_a_handler_tells_the_server_how_much_it_takes():
    async def handler():
        read_handshake(websocket.scope).messages.size = 10
        await echo()

    server = Server(handler, text("x" * 10))
    bound = server.scope[MESSAGE_BOUND] = MessageBound()
    serving = server.begin()
    await settle()
    server.incoming.put_nowait(text("x" * 11))
    await serving

    assert bound.size == 10
    assert server.kinds == ["accept", "send", "close"]


async def test_a_server_that_is_cut_off_waits_for_what_its_handlers_give_back():
    given_back = []

    async def handler():
        try:
            await wait_for_ever()
        finally:
            await asyncio.sleep(0)
            given_back.append(True)

    serving = Server(handler).begin()
    await settle()
    serving.cancel()
    await asyncio.wait([serving])

    assert given_back == [True]


async def test_who_takes_nothing_loses_the_handler(monkeypatch):
    monkeypatch.setattr(sockets, "PIECE_SECONDS", 0)
    ended = []

    async def handler():
        try:
            await echo()
        finally:
            ended.append(asyncio.current_task().cancelling())

    server = Server(handler, text("a"), stuck_at="websocket.send")
    await server.begin()

    assert ended == [1]
    assert server.kinds == ["accept"]


async def test_a_handler_closes_while_its_client_may_still_send():
    async def handler():
        await websocket.accept()
        await settle()
        await websocket.close(4400, "why")

    server = Server(handler)
    await server.begin()

    assert server.sent[1] == {"type": "websocket.close", "code": 4400, "reason": "why"}


async def test_a_handler_that_just_returns_closes():
    async def handler():
        await websocket.accept()

    server = Server(handler)
    await server.begin()

    assert server.sent[1] == {"type": "websocket.close", "code": 1000}


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (Overloaded("too many"), (503, "overloaded")),
        (MessageTooLarge("too large"), (413, "too-large")),
        (ZeroDivisionError(), (500, "internal")),
    ],
)
async def test_what_a_handler_refuses_before_it_accepts_is_a_problem(error, problem):
    async def handler():
        raise error

    server = Server(handler)
    await server.begin()

    assert server.problem == problem
    assert server.served.requests() == {("*", "WEBSOCKET", str(problem[0])): 1}


async def test_a_handler_that_breaks_later_closes_without_a_detail(caplog):
    async def handler():
        await websocket.accept()
        raise ZeroDivisionError("secret")

    server = Server(handler)
    await server.begin()

    assert server.sent[1] == {"type": "websocket.close", "code": 1011, "reason": ""}
    assert "ZeroDivisionError: secret" in caplog.text


async def test_while_the_broker_drains_none_is_opened():
    server = Server(echo, draining=True)
    await server.begin()

    assert server.problem == (503, "unavailable")


async def test_a_page_of_another_origin_opens_none():
    server = Server(echo, origin="http://evil.example")
    await server.begin()

    assert server.problem == (403, "cross-site")


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_a_handler_raises_ends_its_socket_only(error, caplog):
    async def handler():
        if accepts:
            await websocket.accept()
        raise error

    for accepts in (False, True):
        server = Server(handler)
        await server.begin()

        if accepts:
            assert server.sent[1] == {"type": "websocket.close", "code": 1011, "reason": ""}
        else:
            assert server.problem == (500, "internal")
        assert server.failures == {("plugin", "answer"): 1}
    assert "secret" not in str(server.sent)
    assert caplog.text.count('plugin "plugin" failed to answer request') == 2
