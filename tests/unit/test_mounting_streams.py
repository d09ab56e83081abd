"""Whatever becomes of an answer that goes on, its place is free afterwards, and it is closed once:
through both adapters."""

import asyncio

import pytest
from asgi import DISCONNECT, mounted, part, scope_of
from quart import Blueprint

from broker import client, delivery, mounting
from broker.auth import Identity
from broker.errors import Unavailable
from broker.extend import Transport
from broker.http import Response, Route
from broker.isolation import Failures
from broker.operations.places import stream_places
from broker.operations.streams import Streams
from broker.operations.tasks import Tasks
from broker.stream import Stream
from broker.testing import ManualClock

EVENTS = (("content-type", "text/event-stream"),)


class Letters(Stream):
    """Sends a, b, c and what comes later."""

    def __init__(self):
        super().__init__(Identity(subject="ana"))
        self.pieces = [b"a", b"b", b"c"]
        self.closed = 0

    async def take(self):
        return self.pieces.pop(0) if self.pieces else b""

    def farewell(self, reason):
        return reason.encode()

    async def close(self):
        self.closed += 1


class House:
    """An app with one route, whose answers are `stream`."""

    def __init__(self, *, hot, stream=None, headers=EVENTS, most=5, more=()):
        self.stream = stream or Letters()
        self.failures = Failures(ManualClock())
        self.streams = Streams(ManualClock(), stream_places(most, most), Tasks(), self.failures)
        self.incoming = asyncio.Queue()
        self.incoming.put_nowait(part())
        self.sent = []
        self.blocked_at = None
        self.error = None
        route = Route("GET", "/", self._answer, hot=True)
        self._headers = headers
        plugins = [_plugin([route]), *more]
        transports = tuple((f"plugin{n}", plugin) for n, plugin in enumerate(plugins))
        parts = {"streams": self.streams, "failures": self.failures}
        self._app = mounted(*transports, fastpath=hot, **parts).asgi_app

    async def _answer(self, _):
        return Response(headers=self._headers, stream=self.stream)

    async def _send(self, event):
        if len(self.sent) == self.blocked_at:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        self.sent.append(event)

    def begin(self, method="GET"):
        scope = scope_of(method, headers=[(b"x-request-id", b"mine")])
        return asyncio.ensure_future(self._app(scope, self.incoming.get, self._send))

    def leave(self):
        self.incoming.put_nowait(DISCONNECT)

    @property
    def body(self):
        return b"".join(event["body"] for event in self.sent[1:])

    async def is_over(self, asked):
        await asyncio.wait([asked], timeout=30)
        assert asked.done()
        await settle()
        assert (len(self.streams), self.stream.closed) == (0, 1)
        if not asked.cancelled():
            asked.exception()


def _plugin(routes, blueprint=None):
    class Plugin(Transport):
        def routes(self):
            return routes

        def blueprint(self):
            return blueprint

    return Plugin()


async def settle():
    for _ in range(30):
        await asyncio.sleep(0)


@pytest.fixture(params=[True, False], ids=["hot", "quart"])
def make(request):
    return lambda **options: House(hot=request.param, **options)


async def test_pieces_come_one_by_one_and_then_the_farewell(make):
    house = make()
    asked = house.begin()
    await settle()
    house.stream.pieces.append(b"d")
    house.stream.wake()
    await settle()
    house.stream.beat()
    await settle()
    assert len(house.streams) == 1
    house.stream.end("rotated")
    await house.is_over(asked)

    assert house.sent[0] == {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store, no-transform"),
            (b"x-accel-buffering", b"no"),
            (b"x-request-id", b"mine"),
        ],
    }
    assert house.body == b"abcd: hb\n\nrotated"
    assert not house.sent[-1].get("more_body")


@pytest.mark.parametrize("count", range(8))
async def test_a_client_may_go_at_any_moment(make, count):
    house = make()
    asked = house.begin()
    for _ in range(count):
        await asyncio.sleep(0)
    house.leave()
    await asyncio.wait([asked], timeout=30)
    await settle()

    assert len(house.streams) == 0
    assert house.stream.closed == 1 or (house.stream.closed, house.sent) == (0, [])


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("how", ["leave", "cancel"])
async def test_who_takes_nothing_may_go_or_be_cut_off(make, at, how):
    house = make()
    house.blocked_at = at
    asked = house.begin()
    await settle()
    assert len(house.streams) == 1
    house.leave() if how == "leave" else asked.cancel()
    await house.is_over(asked)


@pytest.mark.parametrize("at", range(4))
async def test_who_takes_nothing_is_waited_for_no_longer_than_for_a_piece(make, monkeypatch, at):
    monkeypatch.setattr(client, "PIECE_SECONDS", 0.01)
    monkeypatch.setattr(delivery, "PIECE_SECONDS", 0.01)
    house = make()
    house.blocked_at = at
    await house.is_over(house.begin())

    assert len(house.sent) == at


async def test_a_stream_may_take_longer_than_an_answer(make, monkeypatch):
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0)
    monkeypatch.setattr(mounting, "ANSWER_SECONDS", 0)
    house = make()
    asked = house.begin()
    while house.body != b"abc":
        await asyncio.sleep(0)
    house.stream.end("rotated")
    await house.is_over(asked)

    assert house.body == b"abcrotated"


async def test_who_waits_for_more_may_be_cut_off(make):
    house = make()
    asked = house.begin()
    await settle()
    asked.cancel()
    await house.is_over(asked)


@pytest.mark.parametrize("error", [ConnectionResetError, TimeoutError, ZeroDivisionError])
async def test_a_server_that_cannot_send_ends_the_stream(make, error):
    house = make()
    house.error = error
    await house.is_over(house.begin())


class _Failing(Letters):
    async def take(self):
        raise ZeroDivisionError


class _Speechless(_Failing):
    def farewell(self, reason):
        raise KeyError(reason)


class _Unclosable(_Failing):
    async def close(self):
        self.closed += 1
        raise ZeroDivisionError


class _Away(Letters):
    async def take(self):
        raise Unavailable("away")


@pytest.mark.parametrize(
    ("stream", "body"),
    [
        (_Failing, b"failed"),
        (_Speechless, b""),
        (_Unclosable, b"failed"),
        (_Away, b"unavailable"),
    ],
)
async def test_a_stream_that_fails_ends_as_an_answer_does(make, stream, body):
    house = make(stream=stream())
    await house.is_over(house.begin())

    assert house.body == body
    assert house.sent[0]["status"] == 200
    assert not house.sent[-1].get("more_body")


@pytest.mark.parametrize(
    ("options", "status"),
    [({"most": 0}, 429), ({"headers": (("x", "a\r\nset-cookie: b"),)}, 500)],
)
async def test_one_that_is_refused_never_had_a_place(make, options, status):
    house = make(**options)
    await house.is_over(house.begin())

    assert house.sent[0]["status"] == status
    assert (b"retry-after" in dict(house.sent[0]["headers"])) == (status == 429)


async def test_one_that_comes_while_the_broker_drains_is_503(make):
    house = make()
    house.streams.close()
    await house.is_over(house.begin())

    assert house.sent[0]["status"] == 503


async def test_to_look_at_the_headers_is_not_to_stream():
    house = House(hot=False)
    await house.begin("HEAD")

    assert house.sent[0]["status"] == 405
    assert len(house.streams) == 0


async def test_one_that_quart_answers_otherwise_after_all_is_closed():
    blueprint = Blueprint("other", __name__)

    @blueprint.after_app_request
    async def fail(_):
        raise ZeroDivisionError

    house = House(hot=True, more=[_plugin([], blueprint)])
    await house.is_over(house.begin())

    assert house.sent[0]["status"] == 500
