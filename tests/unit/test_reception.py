"""What goes on to the framework: with its body if it is for a route, as it comes if it is not."""

import asyncio
import json

import pytest
from asgi import DISCONNECT, Bench, part, settle

from broker.reception import BODY


class Framework:
    """An app that takes whatever it is given."""

    def __init__(self):
        self.scopes = []
        self.received = []

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        self.received += [await receive(), await receive()]


@pytest.fixture
def framework(monkeypatch):
    framework = Framework()
    monkeypatch.setattr(Bench, "_framework", lambda _, *message: framework(*message))
    return framework


STRANGE = [
    {"path": "//things/1/do"},
    {"path": "things/1/do"},
    {"path": "http://b/things/1/do"},
    {"path": "/below/things/1/do", "root_path": "/below"},
]


@pytest.mark.parametrize(
    ("hot", "scope"),
    [
        (False, {}),
        (False, {"path": "/v1/things/1/do"}),
        *((hot, scope) for scope in STRANGE for hot in (False, True)),
    ],
)
async def test_a_request_to_a_route_comes_with_its_body(framework, hot, scope):
    await Bench(hot=hot).begin(part(b"bo", True), part(b"dy"), DISCONNECT, **scope)

    assert framework.scopes[0][BODY] == b"body"
    assert framework.received == [part(b"body"), DISCONNECT]


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "websocket"},
        {"method": "GET"},
        {"method": "OPTIONS"},
        {"path": "/nowhere"},
        {"path": ""},
        {"path": "http://[b/things/1/do"},
        {"path": "/things/1/do", "root_path": "/below"},
    ],
)
async def test_a_request_to_no_route_comes_as_it_is(framework, scope):
    await Bench().begin(part(b"bo", True), part(b"dy"), **scope)

    assert BODY not in framework.scopes[0]
    assert framework.received == [part(b"bo", True), part(b"dy")]


@pytest.mark.parametrize("hot", [False, True])
async def test_while_the_broker_drains_nobody_waits_for_a_body(framework, hot):
    bench = Bench(hot=hot)
    bench.broker.draining = True
    status, headers, body = await bench.ask()

    assert (status, json.loads(body)["code"]) == (503, "unavailable")
    assert headers[b"connection"] == b"close"
    assert bench.served.requests() == {("POST", "/things/{thing}/do", "503"): 1}
    assert framework.scopes == []


async def test_a_request_whose_body_a_server_cancels_is_counted_as_left(framework):
    bench = Bench()
    task = bench.begin(part(b"bo", True))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert bench.served.requests() == {("POST", "/things/{thing}/do", "499"): 1}


async def test_a_refusal_is_no_answer_that_was_quick(framework):
    bench = Bench(max_body=1)
    await bench.ask(part(b"12"))

    assert bench.served.requests() == {("POST", "/things/{thing}/do", "413"): 1}
    assert bench.served.durations.read() == {}


async def test_the_path_of_a_refusal_is_the_one_that_the_framework_would_tell(framework):
    bench = Bench(max_body=1)
    *_, body = await bench.ask(part(b"12"), path="/below//things/1/do", root_path="/below")

    assert json.loads(body)["instance"] == "/things/1/do"
