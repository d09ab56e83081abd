"""Which hot routes may go round Quart: those in which nothing else there has a say."""

from types import SimpleNamespace

import pytest
from quart import Blueprint, Quart, request

from broker.extend import Transport
from broker.http import Response, Route
from broker.mounting import MAX_OTHER_BYTES, mount
from broker.status import Served
from broker.testing import ManualClock
from broker.turn import Turns


class Plugin(Transport):
    def __init__(self, *routes, blueprint=None):
        self._routes = routes
        self._blueprint = blueprint

    def routes(self):
        return self._routes

    def blueprint(self):
        return self._blueprint


def hot_route(name="ours"):
    async def answer(_):
        return Response(body=name.encode())

    return Plugin(Route("POST", "/queues/{queue}/messages", answer, hot=True))


def blueprint_with(rule, methods=("POST",)):
    async def view(**_):
        return "theirs"

    blueprint = Blueprint("other", __name__)
    blueprint.add_url_rule(rule, "view", view, methods=methods)
    return Plugin(blueprint=blueprint)


def blueprint_before_all():
    blueprint = Blueprint("other", __name__)

    @blueprint.before_app_request
    async def answer():
        return "theirs"

    return Plugin(blueprint=blueprint)


def blueprint_after_all():
    blueprint = Blueprint("other", __name__)

    @blueprint.after_app_request
    async def answer(response):
        response.set_data("theirs")
        return response

    return Plugin(blueprint=blueprint)


@pytest.fixture
def ask(monkeypatch):
    """Ask an app with these transports; return what answered, and whether Quart served it."""
    seen = []
    original = Quart.handle_request

    async def handle_request(self, request):
        seen.append(request.path)
        return await original(self, request)

    monkeypatch.setattr(Quart, "handle_request", handle_request)

    async def ask(*transports, path="/queues/q/messages", body=b""):
        broker = SimpleNamespace(
            served=Served(), clock=ManualClock(), draining=False, turns=Turns(1)
        )
        named = tuple((f"plugin{number}", each) for number, each in enumerate(transports))
        app = mount(SimpleNamespace(broker=broker, transports=named, trusted_proxies=()))
        answer = await app.test_client().post(path, data=body)
        return (await answer.get_data()).decode(), seen == [path]

    return ask


@pytest.mark.parametrize(
    "others",
    [
        [],
        [blueprint_with("/other")],
        [blueprint_with("/queues/special")],
        [blueprint_with("/<anything>/q/messages/more")],
        [blueprint_with("/queues/<queue>/messages", ["GET"])],
        [blueprint_with("/v2/<path:rest>")],
    ],
)
async def test_a_hot_route_of_which_quart_knows_no_rival_goes_round_it(ask, others):
    assert await ask(hot_route(), *others) == ("ours", False)


@pytest.mark.parametrize(
    ("other", "answer"),
    [
        (blueprint_with("/queues/q/messages"), "theirs"),
        (blueprint_with("/queues/special/messages"), "ours"),
        (blueprint_with("/v1/queues/special/messages"), "ours"),
        (blueprint_with("/queues/<int:queue>/messages"), "ours"),
        (blueprint_with("/<path:anything>"), "ours"),
        (blueprint_before_all(), "theirs"),
        (blueprint_after_all(), "theirs"),
        (hot_route("another plugin's"), "ours"),
    ],
)
async def test_a_hot_route_with_a_rival_is_left_to_quart(ask, other, answer):
    assert await ask(hot_route(), other) == (answer, True)


async def test_a_header_that_would_be_two_is_an_error_of_its_route(ask):
    async def answer(_):
        return Response(headers=(("x", "a\r\nset-cookie: b"),))

    for hot in (True, False):
        text, quart = await ask(Plugin(Route("POST", "/", answer, hot=hot)), path="/")
        assert '"code":"internal"' in text
        assert quart is not hot


@pytest.mark.parametrize(
    ("size", "answered"),
    [(MAX_OTHER_BYTES, "1048576"), (MAX_OTHER_BYTES + 1, '"code":"too-large"')],
)
async def test_a_blueprint_is_given_no_more_than_a_mebibyte(ask, size, answered):
    blueprint = Blueprint("other", __name__)

    @blueprint.post("/other")
    async def view():
        return str(len(await request.get_data()))

    text, _ = await ask(Plugin(blueprint=blueprint), path="/other", body=b"x" * size)
    assert answered in text
