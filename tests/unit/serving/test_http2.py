"""HTTP/2 for Hypercorn: what a connection does with its streams, without any network."""

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamReset
from h2.settings import SettingCodes
from hyperframe.frame import DataFrame, WindowUpdateFrame
from hypercorn.events import Closed, RawData, Updated

from broker.serving.endpoint import MAX_STREAMS
from broker.serving.http2 import MAX_IDLE_FRAMES, Http2

GET = [(":method", "GET"), (":scheme", "https"), (":authority", "b"), (":path", "/")]
LENGTH_0 = [*GET, ("content-length", "0")]
NO_HTTP_2 = b"\0\0\1\7\0\0\0\0\0\0"
"""A GOAWAY that is too short."""

OK = {"type": "http.response.start", "status": 200, "headers": []}


class Pair:
    """A client and the server's side of its connection, side by side in memory."""

    def __init__(self, app, group):
        self.client = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.draining = asyncio.Event()
        self.happened, self.idle = [], []
        self.is_hung_up = False
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.is_written_to = asyncio.Event()
        self.server = Http2(
            app,
            SimpleNamespace(response_headers=lambda _: [(b"date", b"now")]),
            SimpleNamespace(terminated=self.draining),
            SimpleNamespace(spawn=lambda function, *args: group.create_task(function(*args))),
            {},
            True,
            ("203.0.113.7", 50_000),
            ("203.0.113.1", 443),
            self._take,
        )

    async def _take(self, event):
        if isinstance(event, RawData):
            self.is_written_to.set()
            await self.may_write.wait()
            assert not self.is_hung_up
            self.happened += self.client.receive_data(event.data)
        elif isinstance(event, Updated):
            self.idle.append(event.idle)
        elif isinstance(event, Closed):
            self.is_hung_up = True

    async def pass_on(self):
        """Let the server have what the client wrote, until both only wait for the test."""
        while data := self.client.data_to_send():
            await self.server.handle(RawData(data))
            await nothing_to_do()
        await nothing_to_do()

    def open(self, *, end=True, headers=GET):
        stream = self.client.get_next_available_stream_id()
        self.client.send_headers(stream, headers, end_stream=end)
        return stream

    async def open_and_read_nothing(self):
        """Open a request; return who takes it, when the server begins to write what it waits for."""
        self.may_write.clear()
        self.is_written_to.clear()
        self.open()
        taking = asyncio.create_task(self.server.handle(RawData(self.client.data_to_send())))
        await self.is_written_to.wait()
        return taking

    def of(self, kind):
        return [event for event in self.happened if isinstance(event, kind)]

    def statuses(self):
        return [dict(event.headers)[":status"] for event in self.of(ResponseReceived)]

    def resets(self):
        return [event.error_code for event in self.of(StreamReset)]


async def nothing_to_do():
    """Return when all other tasks wait; nothing comes from outside, so they do until the test acts.

    No event says that nothing more happens, so the loop is asked what it has ready.
    """
    while asyncio.get_running_loop()._ready:
        await asyncio.sleep(0)


@asynccontextmanager
async def connected(app):
    async def wrapped(scope, receive, send, _sync_spawn, _call_soon):
        await app(scope, receive, send)

    async with asyncio.TaskGroup() as group:
        pair = Pair(wrapped, group)
        await pair.server.initiate()
        pair.client.initiate_connection()
        await pair.pass_on()
        yield pair
        await pair.server.handle(Closed())


async def answer(scope, receive, send, body=b"ok"):
    await send(OK)
    await send({"type": "http.response.body", "body": body})


async def wait_for_the_end(scope, receive, send):
    while (await receive())["type"] != "http.disconnect":
        pass


async def test_a_request_is_what_asgi_says():
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)
        await answer(scope, receive, send)

    async with connected(app) as pair:
        headers = [*GET[:3], (":path", "/a%20b?c=d"), ("x", "1"), ("cookie", "a=1"), ("host", "b")]
        pair.open(headers=headers)
        await pair.pass_on()

    [scope] = scopes
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "2",
        "scheme": "https",
        "root_path": "",
        "client": ("203.0.113.7", 50_000),
        "server": ("203.0.113.1", 443),
        "extensions": {},
        "method": "GET",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"c=d",
        "headers": [(b"host", b"b"), (b"x", b"1"), (b"cookie", b"a=1")],
    }
    assert pair.idle == [False, True]


async def test_what_belongs_to_a_connection_is_not_in_an_answer():
    async def app(scope, receive, send):
        headers = [(b"Connection", b"close"), (b"Keep-Alive", b"5"), (b"X", b"1")]
        await send({**OK, "headers": headers})
        await send({"type": "http.response.body"})

    async with connected(app) as pair:
        pair.open()
        await pair.pass_on()

    [event] = pair.of(ResponseReceived)
    assert dict(event.headers) == {":status": "200", "x": "1", "date": "now"}


async def fail(scope, receive, send):
    raise ValueError("a fault of the app")


async def say_nothing(scope, receive, send):
    pass


async def stop_before_the_body(scope, receive, send):
    await send(OK)


@pytest.mark.parametrize("app", [fail, say_nothing, stop_before_the_body])
async def test_a_request_that_the_app_does_not_answer_is_500(app, caplog):
    async with connected(app) as pair:
        pair.open()
        await pair.pass_on()

    assert pair.statuses() == ["500"]
    assert caplog.messages == (["error in the application"] if app is fail else [])


async def stop_halfway(scope, receive, send):
    await send(OK)
    await send({"type": "http.response.body", "body": b"a", "more_body": True})


async def send_bad_headers(scope, receive, send):
    await send({**OK, "headers": [(b"te", b"gzip")]})
    await send({"type": "http.response.body", "body": b"a"})


@pytest.mark.parametrize("app", [stop_halfway, send_bad_headers])
async def test_an_answer_that_cannot_be_finished_is_reset(app):
    async with connected(app) as pair:
        pair.open()
        await pair.pass_on()

    assert pair.resets() == [ErrorCodes.INTERNAL_ERROR]


async def test_who_has_answered_and_asks_for_more_is_told_that_it_is_over():
    told = []

    async def app(scope, receive, send):
        waiting = asyncio.create_task(receive())
        await asyncio.sleep(0)  # it waits
        await answer(scope, receive, send)
        told.extend([await waiting, await receive(), await receive()])

    async with connected(app) as pair:
        pair.client.send_data(pair.open(end=False), b"x", end_stream=False)
        await pair.pass_on()

    assert told == [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
        {"type": "http.disconnect"},
    ]


async def test_who_waits_for_more_while_it_answers_is_told_that_it_is_over_when_all_is_written():
    told = []

    async def app(scope, receive, send):
        waiting = asyncio.create_task(receive())
        await answer(scope, receive, send, body=b"x" * 100_000)
        told.append(await waiting)

    async with connected(app) as pair:
        pair.client.increment_flow_control_window(10**6)
        stream = pair.open(end=False)
        await pair.pass_on()
        before = list(told)
        pair.client.increment_flow_control_window(10**5, stream)
        await pair.pass_on()

    assert (before, told) == ([], [{"type": "http.disconnect"}])


async def test_a_client_may_send_as_much_as_the_app_has_read():
    go_on = asyncio.Event()

    async def app(scope, receive, send):
        await go_on.wait()
        await receive()
        await wait_for_the_end(scope, receive, send)

    async with connected(app) as pair:
        stream = pair.open(end=False)
        for _ in range(3):
            pair.client.send_data(stream, b"x" * 16_384)
        await pair.pass_on()
        before = pair.client.local_flow_control_window(stream)
        go_on.set()
        await pair.pass_on()
        after = pair.client.local_flow_control_window(stream)

    assert (before, after) == (65_535 - 3 * 16_384, 65_535 - 16_384)  # told when it is half


@pytest.mark.parametrize("came", ["before the answer", "after the answer"])
async def test_what_nobody_read_takes_nothing_from_the_others(came):
    go_on = asyncio.Event()

    async def app(scope, receive, send):
        await go_on.wait()
        await answer(scope, receive, send)

    async with connected(app) as pair:
        for _ in range(8):
            if came == "after the answer":
                go_on.set()
            stream = pair.open(end=False)
            for _ in range(2):
                pair.client.send_data(stream, b"x" * 16_384)
            pair.client.end_stream(stream)
            await pair.pass_on()
            go_on.set()
            await pair.pass_on()
            go_on.clear()

    assert pair.statuses() == ["200"] * 8


async def test_who_still_sends_what_was_answered_is_given_time_to():
    async with connected(answer) as pair:
        stream = pair.open(end=False)
        await pair.pass_on()
        before = list(pair.idle)
        pair.client.send_data(stream, b"x", end_stream=True)
        await pair.pass_on()

    assert (before, pair.idle) == ([False, True], [False, True, True])


async def test_an_answer_waits_for_the_window_and_others_do_not():
    async def app(scope, receive, send):
        await answer(scope, receive, send, body=b"x" * 100_000 if scope["path"] == "/big" else b"")

    async with connected(app) as pair:
        pair.client.increment_flow_control_window(10**6)
        big = pair.open(headers=[*GET[:3], (":path", "/big")])
        pair.open()
        await pair.pass_on()
        arrived = sum(len(event.data) for event in pair.of(DataReceived))
        pair.client.increment_flow_control_window(10**5, big)
        await pair.pass_on()

    assert pair.statuses() == ["200", "200"]
    assert arrived == 65_535
    assert sum(len(event.data) for event in pair.of(DataReceived)) == 100_000


@pytest.mark.parametrize("lost", ["stream", "connection"])
async def test_who_goes_while_an_answer_waits_for_the_window_is_waited_for_no_longer(lost):
    told = []

    async def app(scope, receive, send):
        await answer(scope, receive, send, body=b"x" * 100_000)
        told.append(await receive())
        told.append(await receive())

    async with connected(app) as pair:
        stream = pair.open()
        await pair.pass_on()
        if lost == "stream":
            pair.client.reset_stream(stream)
            await pair.pass_on()
        else:
            await pair.server.handle(Closed())
            await nothing_to_do()

    assert [message["type"] for message in told] == ["http.request", "http.disconnect"]


async def test_an_interrupted_request_takes_nothing_of_others_along():
    started = []

    async def app(scope, receive, send):
        if scope["path"] == "/slow":
            started.append(asyncio.current_task())
            try:
                await answer(scope, receive, send, body=b"x" * 100_000)
            except asyncio.CancelledError:
                return
        await answer(scope, receive, send)

    async with connected(app) as pair:
        pair.open(headers=[*GET[:3], (":path", "/slow")])
        await pair.pass_on()
        pair.client.increment_flow_control_window(10**6)
        pair.open()
        pair.open()
        started[0].cancel()
        await pair.pass_on()

    assert pair.statuses() == ["200"] * 3
    assert pair.resets() == [ErrorCodes.INTERNAL_ERROR]


async def test_a_request_that_was_reset_counts_until_it_has_ended():
    running = []
    go_on = asyncio.Event()

    async def app(scope, receive, send):
        running.append(scope)
        await go_on.wait()  # as what is stored for a client that is gone

    async with connected(app) as pair:
        for _ in range(MAX_STREAMS):
            pair.client.reset_stream(pair.open())
        await pair.pass_on()
        pair.client.reset_stream(pair.open())  # in one piece
        pair.open()
        await pair.pass_on()
        begun, refused = len(running), pair.resets()
        go_on.set()
        await pair.pass_on()
        pair.open()
        await pair.pass_on()

    assert (begun, refused) == (MAX_STREAMS, [ErrorCodes.REFUSED_STREAM])
    assert pair.statuses() == ["500"]


async def test_too_many_frames_that_ask_for_nothing_end_the_connection():
    async with connected(answer) as pair:
        for _ in range(2):
            for _ in range(MAX_IDLE_FRAMES - 5):
                pair.client.ping(b"12345678")
            await pair.pass_on()
            pair.open()
            await pair.pass_on()
        assert not pair.is_hung_up
        for _ in range(MAX_IDLE_FRAMES + 1):
            pair.client.ping(b"12345678")
        await pair.pass_on()

    assert pair.is_hung_up
    assert [e.error_code for e in pair.of(ConnectionTerminated)] == [ErrorCodes.ENHANCE_YOUR_CALM]


@pytest.mark.parametrize("late", ["data", "window"])
async def test_frames_for_requests_that_were_reset_ask_for_nothing(late):
    async with connected(wait_for_the_end) as pair:
        stream = pair.open(end=False)
        frame = {"data": DataFrame(stream), "window": WindowUpdateFrame(stream, 1)}[late]
        pair.client.reset_stream(stream)
        await pair.pass_on()
        for _ in range(MAX_IDLE_FRAMES + 1):
            await pair.server.handle(RawData(frame.serialize()))

    assert pair.is_hung_up
    assert [e.error_code for e in pair.of(ConnectionTerminated)] == [ErrorCodes.ENHANCE_YOUR_CALM]


async def test_what_is_no_request_is_told_why_if_the_client_has_room_for_it():
    async with connected(answer) as pair:
        pair.open(headers=[*GET, ("content-length", "5")])
        await pair.pass_on()
        [told] = pair.of(DataReceived)
        pair.client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})
        await pair.pass_on()
        pair.open(headers=[*GET, ("content-length", "5")])
        await pair.pass_on()

    assert json.loads(told.data)["code"] == "bad-request"
    assert [dict(e.headers)[":status"] for e in pair.of(ResponseReceived)] == ["400", "400"]
    assert pair.of(DataReceived) == [told]


async def test_too_many_bodies_of_another_length_than_said_end_the_connection():
    async with connected(wait_for_the_end) as pair:
        while len(pair.resets()) < MAX_IDLE_FRAMES - 5:
            pair.client.send_data(pair.open(end=False, headers=LENGTH_0), b"x")
            await pair.pass_on()
        assert not pair.is_hung_up
        for _ in range(10):
            pair.client.send_data(pair.open(end=False, headers=LENGTH_0), b"x")
        await pair.pass_on()

    assert pair.is_hung_up
    assert set(pair.resets()) == {ErrorCodes.PROTOCOL_ERROR}
    assert [e.error_code for e in pair.of(ConnectionTerminated)] == [ErrorCodes.ENHANCE_YOUR_CALM]


async def test_who_reads_a_body_of_another_length_than_said_is_told_that_it_is_over():
    told = []

    async def app(scope, receive, send):
        told.append(await receive())
        told.append(await receive())

    async with connected(app) as pair:
        stream = pair.open(end=False, headers=[*GET, ("content-length", "5")])
        pair.client.send_data(stream, b"x", end_stream=True)
        await pair.pass_on()

    assert told == [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
    ]


async def test_while_the_server_drains_no_request_is_begun_and_those_that_were_are_answered():
    go_on = asyncio.Event()

    async def app(scope, receive, send):
        await go_on.wait()
        await answer(scope, receive, send)

    async with connected(app) as pair:
        pair.open()
        await pair.pass_on()
        pair.draining.set()
        pair.open()
        await pair.pass_on()
        refused, idle = pair.resets(), list(pair.idle)
        go_on.set()
        await pair.pass_on()

    assert (refused, idle[-1]) == ([ErrorCodes.REFUSED_STREAM], False)
    assert pair.statuses() == ["200"]
    assert pair.idle[-1] is True
    assert [e.error_code for e in pair.of(ConnectionTerminated)] == [ErrorCodes.NO_ERROR]


async def test_a_client_that_says_goodbye_gets_what_it_asked_for():
    go_on = asyncio.Event()

    async def app(scope, receive, send):
        await go_on.wait()
        await answer(scope, receive, send)

    async with connected(app) as pair:
        pair.open()
        state = pair.client.state_machine.state
        pair.client.close_connection()
        pair.client.state_machine.state = state  # the library would hear no more
        pair.client.ping(b"12345678")
        await pair.pass_on()
        go_on.set()
        await pair.pass_on()

    assert pair.statuses() == ["200"]


async def test_no_http_2_ends_the_connection():
    async with connected(answer) as pair:
        await pair.server.handle(RawData(NO_HTTP_2))
        await pair.server.handle(RawData(b"anything"))

    assert pair.is_hung_up


async def test_who_is_hung_up_on_while_an_answer_is_written_is_told_why():
    async with connected(answer) as pair:
        taking = await pair.open_and_read_nothing()
        hanging_up = asyncio.create_task(pair.server.handle(RawData(NO_HTTP_2)))
        await nothing_to_do()
        pair.may_write.set()
        await asyncio.gather(taking, hanging_up)

    assert pair.is_hung_up
    assert [e.error_code for e in pair.of(ConnectionTerminated)] == [ErrorCodes.FRAME_SIZE_ERROR]


async def test_who_goes_while_an_answer_is_written_is_waited_for_no_longer():
    async with connected(answer) as pair:
        taking = await pair.open_and_read_nothing()
        await pair.server.handle(Closed())
        pair.may_write.set()
        await taking

    assert pair.of(ConnectionTerminated)
