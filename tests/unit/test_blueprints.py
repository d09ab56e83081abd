"""Blueprints of plugins that break, and answer what no server could send."""

import asyncio
import json

import pytest
from asgi import DISCONNECT, mounted, part, scope_of
from misbehaving import odd_errors
from quart import Blueprint, Response, abort

from broker import PluginError, http
from broker.errors import Rejected
from broker.extend import Transport
from broker.http import Route
from broker.isolation import Failures
from broker.status import Served
from broker.testing import ManualClock


class Plugin(Transport):
    def __init__(self, blueprint=None, routes=()):
        self._blueprint, self._routes = blueprint, routes

    def routes(self):
        return self._routes

    def blueprint(self):
        return self._blueprint


async def fine(_):
    return http.Response(body=b"fine")


class Bench:
    """An app with the route `GET /fine` of plugin `good`, and a blueprint of plugin `acme`, whose
    view is at `/`."""

    def __init__(self, view=None, *, errors=None, **functions):
        blueprint = Blueprint("pages", __name__)
        if errors is not None:
            blueprint.register_error_handler(ValueError, errors)
        if view is not None:
            blueprint.add_url_rule("/", "view", view)
        for name, function in functions.items():
            getattr(blueprint, name)(function)
        self.failures = Failures(ManualClock())
        self.served = Served()
        self.lines = []
        good = Plugin(routes=[Route("GET", "/fine", fine)])
        transports = (("good", good), ("acme", Plugin(blueprint)))
        parts = {"served": self.served, "failures": self.failures}
        self.app = mounted(*transports, access=self.lines.append, **parts).asgi_app

    @property
    def told(self):
        """What is known of all requests: method, route, status, and whether it took time."""
        counted = self.served.requests()
        measured = self.served.durations.read()
        assert sorted((line.route, line.status) for line in self.lines) == sorted(
            (route, int(status)) for _, route, status in counted.elements()
        )
        return [(*one, one in measured) for one in counted.elements()]

    async def send(self, path="/", *incoming_after, method="GET"):
        """Return all that is sent for a request."""
        sent = []
        incoming = asyncio.Queue()
        for event in (part(), *incoming_after):
            incoming.put_nowait(event)

        async def send(event):
            sent.append(event)

        scope = {
            **scope_of(method),
            "path": path,
            "headers": [(b"host", b"b"), (b"x-request-id", b"r")],
        }
        try:
            await self.app(scope, incoming.get, send)
        except RuntimeError as error:
            sent.append(error)
        return sent

    async def ask(self, path="/"):
        start, *rest = await self.send(path)
        return start["status"], b"".join(event.get("body", b"") for event in rest)

    async def refused(self, path="/"):
        """Return the code of a problem that tells nothing."""
        start, *rest = await self.send(path)
        assert (b"content-type", b"application/problem+json") in start["headers"]
        body = b"".join(event.get("body", b"") for event in rest)
        assert b"secret" not in body
        problem = json.loads(body)
        assert (problem["status"], problem["request_id"]) == (start["status"], "r")
        return problem["status"], problem["code"]


async def refuse():
    abort(403)


async def wait():
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("view", "method", "counted"),
    [
        ("text", "GET", ("GET", "/", "200", True)),
        ("text", "HEAD", ("GET", "/", "200", True)),
        ("text", "BREW", ("*", "unmatched", "405", False)),
        (refuse, "GET", ("GET", "/", "403", True)),
    ],
)
async def test_a_request_to_a_blueprint_is_known_by_the_rule(view, method, counted):
    bench = Bench(returning(view) if view == "text" else view)
    start, *_ = await bench.send(method=method)

    assert str(start["status"]) == counted[2]
    assert bench.told == [counted]


async def test_a_request_to_nothing_is_one_that_no_route_was_found_for():
    bench = Bench(returning("text"))
    assert await bench.refused("/nowhere") == (404, "not-found")

    assert bench.told == [("*", "unmatched", "404", False)]
    assert (bench.lines[0].request_id, bench.lines[0].path) == ("r", "/nowhere")


async def test_a_refusal_is_told_by_the_name_that_its_answer_has():
    bench = Bench(returning("text"))
    sent = []

    async def send(event):
        sent.append(event)

    incoming = asyncio.Queue()
    incoming.put_nowait(part())
    await bench.app({**scope_of(), "path": "/nowhere"}, incoming.get, send)

    assert dict(sent[0]["headers"])[b"x-request-id"].decode() == bench.lines[0].request_id


async def test_a_request_to_a_blueprint_that_its_client_leaves_is_counted_as_that():
    bench = Bench(wait)

    assert await bench.send("/", DISCONNECT) == []
    assert bench.told == [("GET", "/", "499", False)]


async def test_what_a_blueprint_refuses_of_other_routes_is_known_by_these():
    async def teapot():
        abort(418)

    bench = Bench(before_app_request=teapot)
    await bench.send("/fine")

    assert bench.told == [("GET", "/fine", "418", False)]


async def test_what_a_blueprint_makes_of_an_answer_is_known_too():
    async def spoil(response):
        response.status_code = 503
        return response

    bench = Bench(after_app_request=spoil)
    await bench.send("/fine")

    assert bench.told == [("GET", "/fine", "503", False), ("GET", "/fine", "200", True)]


def raising(error):
    async def function(*_):
        raise error

    return function


def returning(value):
    async def function(*_):
        return value

    return function


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_a_view_raises_is_that_requests_500(error, caplog):
    bench = Bench(raising(error))

    assert await bench.refused() == (500, "internal")
    assert bench.failures == {("acme", "answer"): 1}
    assert 'plugin "acme" failed to answer request r' in caplog.messages
    assert await bench.ask("/fine") == (200, b"fine")
    assert bench.served.requests() == {("GET", "/", "500"): 1, ("GET", "/fine", "200"): 1}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        7,
        7.5,
        ("text", "text", "text", "text"),
        ("text", 99),
        ("text", 1000),
        ("text", 100),
        Response("text", headers={"x": "\ud800"}),
        Response("text", headers={"two words": "x"}),
    ],
)
async def test_what_is_no_answer_of_a_view_is_that_requests_500(answer, caplog):
    bench = Bench(returning(answer))

    assert await bench.refused() == (500, "internal")
    assert bench.failures == {("acme", "answer"): 1}
    assert await bench.ask("/fine") == (200, b"fine")


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_the_body_of_an_answer_raises_breaks_it_off(error):
    async def body():
        yield b"first"
        raise error

    bench = Bench(returning_body(body))
    start, first, end = await bench.send()

    assert (start["status"], first["body"]) == (200, b"first")
    assert isinstance(end, RuntimeError)
    assert bench.failures == {("acme", "answer"): 1}


def returning_body(body):
    async def view():
        return Response(body())

    return view


@pytest.mark.parametrize("name", ["before_app_request", "after_app_request"])
@pytest.mark.parametrize(**odd_errors)
async def test_who_breaks_every_request_is_named_and_not_whose_request_it_is(name, error, caplog):
    bench = Bench(**{name: raising(error)})

    assert await bench.refused("/fine") == (500, "internal")
    assert set(bench.failures) == {("acme", "take part in every request")}
    assert 'plugin "acme" failed to take part in every request in request r' in caplog.messages


@pytest.mark.parametrize(**odd_errors)
async def test_what_breaks_when_all_is_done_is_that_requests_500(error):
    bench = Bench(teardown_app_request=raising(error))

    assert await bench.refused("/fine") == (500, "internal")
    assert bench.failures == {("acme", "take part in every request"): 1}


@pytest.mark.parametrize("name", ["before_request", "after_request", "teardown_request"])
@pytest.mark.parametrize(**odd_errors)
async def test_what_breaks_around_own_requests_breaks_no_other(name, error):
    bench = Bench(returning("text"), **{name: raising(error)})

    assert await bench.refused() == (500, "internal")
    assert bench.failures["acme", "answer"] == 1
    assert await bench.ask("/fine") == (200, b"fine")


async def test_what_is_refused_on_purpose_is_no_failure():
    async def teapot():
        abort(418)

    for before, told in (
        (raising(Rejected("no")), (422, "rejected")),
        (teapot, (418, "i'm-a-teapot")),
    ):
        bench = Bench(before_app_request=before)
        assert await bench.refused("/fine") == told
        assert bench.failures == {}


async def test_plain_functions_take_part_too():
    bench = Bench(before_app_request=lambda: "theirs")
    assert await bench.ask("/fine") == (200, b"theirs")


@pytest.mark.parametrize(**odd_errors)
async def test_a_handler_of_errors_that_breaks_is_that_requests_500(error):
    def handle(_):
        raise error

    bench = Bench(raising(ValueError("secret")), errors=handle)

    assert await bench.refused() == (500, "internal")
    assert bench.failures == {("acme", "answer"): 1}


class Mute(Plugin):
    def __init__(self, **answers):
        self.answers = answers

    def routes(self):
        return self.answer("routes", ())

    def blueprint(self):
        return self.answer("blueprint", None)

    def answer(self, name, default):
        value = self.answers.get(name, default)
        if isinstance(value, BaseException):
            raise value
        return value


@pytest.mark.parametrize(
    ("transport", "problem"),
    [
        (Mute(routes=SystemExit(3)), "Mute.routes failed: SystemExit: 3"),
        (Mute(routes=KeyError("x")), "Mute.routes failed: KeyError: 'x'"),
        (Mute(routes=None), "Mute.routes failed: TypeError: 'NoneType' object is not iterable"),
        (Mute(routes=["/path"]), "Mute.routes returned str among its routes"),
        (Mute(blueprint=ValueError("no")), "Mute.blueprint failed: ValueError: no"),
        (
            Mute(blueprint="pages"),
            "Mute.blueprint failed: AttributeError: 'str' object has no attribute 'register'",
        ),
    ],
)
def test_a_transport_that_cannot_be_mounted_is_named(transport, problem):
    with pytest.raises(PluginError) as caught:
        mounted(("acme", transport))
    assert str(caught.value) == f'plugin "acme": {problem}'
