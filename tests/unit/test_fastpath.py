"""The hot routes on bare ASGI: clients that go away, and what is left to the framework."""

import asyncio
import json

import pytest
from asgi import DISCONNECT, Bench, no_task_is_left, part

from broker import bodies
from broker.http import Response
from broker.testing import ManualClock


async def test_a_handler_gets_the_request_and_its_answer_is_sent():
    async def handler(request):
        assert (request.method, request.path) == ("POST", "/v1/things/ü/do")
        assert request.params == {"thing": "ü"}
        assert request.query == {"a": ["1", ""], "b": ["\udcff"]}
        assert request.headers == {"x-request-id": "mine", "x-other": "\xe9"}
        assert (request.body, request.peer) == (b"body", "203.0.113.7")
        return Response(status=201, body=b"{}", headers=(("Location", "/here"),))

    bench = Bench(handler)
    status, headers, body = await bench.ask(
        part(b"body"),
        path="/v1/things/ü/do",
        query_string=b"a=1&a=&b=%ff",
        headers=[(b"x-request-id", b"mine"), (b"X-Other", b"\xe9")],
    )

    assert (status, body) == (201, b"{}")
    assert headers == {b"location": b"/here", b"content-length": b"2", b"x-request-id": b"mine"}
    assert bench.served.requests() == {("POST", "/things/{thing}/do", "201"): 1}


async def test_the_cookies_of_a_request_are_in_one_header_however_many_they_came_in():
    async def handler(request):
        return Response(body=request.headers["cookie"].encode("latin1"))

    cookies = [(b"cookie", b"a=1; b=2"), (b"x-other", b"x"), (b"Cookie", b"c=\xe9")]

    _, _, body = await Bench(handler).ask(part(), headers=cookies)

    assert body == b"a=1; b=2; c=\xe9"


async def test_no_content_has_no_length():
    async def handler(_):
        return Response(status=204)

    _, headers, _ = await Bench(handler).ask(part())

    assert set(headers) == {b"x-request-id"}


async def test_what_a_handler_raises_is_500():
    async def handler(_):
        raise ZeroDivisionError

    bench = Bench(handler)
    status, _, body = await bench.ask(part())

    assert (status, json.loads(body)["code"]) == (500, "internal")
    assert bench.served.last_error == ("ZeroDivisionError", ManualClock().now())


@pytest.mark.parametrize("incoming", [[DISCONNECT], [part(b"x", True), DISCONNECT]])
async def test_a_client_that_goes_before_its_body_is_whole_asked_nothing(incoming):
    async def handler(_):
        raise AssertionError("called")

    bench = Bench(handler)
    await bench.begin(*incoming)

    assert bench.sent == []
    assert bench.served.requests() == {("POST", "/things/{thing}/do", "499"): 1}


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "websocket"},
        {"type": "lifespan"},
        {"method": "GET"},
        {"method": "HEAD"},
        {"method": "post"},
        {"root_path": "/below"},
        {"path": ""},
        {"path": "/"},
        {"path": "things/1/do"},
        {"path": "//things/1/do"},
        {"path": "/things/1"},
        {"path": "/things/1/do/"},
        {"path": "/things/1/do/more"},
        {"path": "/things/1/2/do"},
        {"path": "/v2/things/1/do"},
        {"path": "/v1"},
    ],
)
async def test_what_is_not_surely_hot_is_left_to_the_framework(scope):
    bench = Bench()
    await bench.begin(part(), **scope)

    assert (bench.left_to_framework, bench.sent) == ([scope.get("type", "http")], [])


@pytest.mark.parametrize(
    "thing", ["", "..", "do", "things", "a\nb", "\x00", "{thing}", "%2F", "\udcff"]
)
async def test_a_variable_part_is_whatever_stands_between_two_slashes(thing):
    async def handler(request):
        assert request.params == {"thing": thing}
        return Response()

    status, *_ = await Bench(handler).ask(part(), path=f"/things/{thing}/do")

    assert status == 200


async def test_a_body_that_comes_too_slowly_for_a_server_that_cancels_is_no_answer(monkeypatch):
    monkeypatch.setattr(bodies, "PROGRESS_SECONDS", 0)
    bench = Bench()
    task = bench.begin(part(b"x", True))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert bench.sent == []
