"""Which hot routes may go round Quart: those in which nothing else there has a say."""

import asyncio
import json

import pytest
from asgi import DISCONNECT, mounted, part, scope_of
from quart import Blueprint, Quart, request

from broker import translation
from broker.extend import Transport
from broker.http import Response, Route
from broker.mounting import MAX_OTHER_BYTES
from broker.status import Served


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


def blueprint_with_websocket(path):
    async def serve(**_):
        raise AssertionError("nobody connects")

    blueprint = Blueprint("sockets", __name__)
    blueprint.add_websocket(path, "serve", serve)
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
        named = tuple((f"plugin{number}", each) for number, each in enumerate(transports))
        app = mounted(*named)
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
        [blueprint_with_websocket("/queues/<queue>/messages")],
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


async def test_what_http_may_ask_is_told_without_the_websocket_at_the_same_path():
    socket = blueprint_with_websocket("/queues/<queue>/messages")
    app = mounted(("a", hot_route()), ("b", socket))
    for method in ("GET", "PUT", "OPTIONS"):
        answer = await app.test_client().open("/queues/q/messages", method=method)

        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


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


@pytest.mark.parametrize("fastpath", [True, False])
async def test_a_request_that_its_client_leaves_is_counted_once_as_that(fastpath):
    async def answer(_):
        await asyncio.Event().wait()

    served, lines, sent = Served(), [], []
    plugin = Plugin(Route("GET", "/", answer, hot=True, gives=True))
    app = mounted(("plugin", plugin), served=served, fastpath=fastpath, access=lines.append)
    incoming = asyncio.Queue()
    asked = asyncio.ensure_future(app.asgi_app(scope_of(), incoming.get, sent.append))
    incoming.put_nowait(part())
    incoming.put_nowait(DISCONNECT)
    await asked

    assert sent == []
    assert served.requests() == {("GET", "/", "499"): 1}
    assert served.durations.read() == {}
    assert [(line.route, line.status) for line in lines] == [("/", 499)]


SMALL = b"x" * translation.MAX_SMALL_ANSWER_BYTES


class Answering:
    """An app with one route, whose answers are `body`, as a server has it."""

    def __init__(self, body, *, fastpath, is_shared=False):
        self.served = Served()
        self.undelivered = []

        async def undeliver():
            self.undelivered.append(True)

        async def answer(_):
            return Response(body=body, undelivered=undeliver, is_shared=is_shared)

        async def do(_):
            return Response(body=body)

        routes = Plugin(Route("GET", "/", answer, hot=True), Route("POST", "/", do, hot=True))
        self._app = mounted(("plugin", routes), served=self.served, fastpath=fastpath)

    def begin(self, sent, peer="203.0.113.7", is_read=None, method="GET"):
        """Ask; what is sent in answer waits until it is read."""
        incoming = asyncio.Queue()
        incoming.put_nowait(part())

        async def send(event):
            if is_read is not None:
                await is_read.wait()
            sent.append(event)

        scope = scope_of(method, peer=peer)
        asked = asyncio.ensure_future(self._app.asgi_app(scope, incoming.get, send))
        asked.leave = lambda: incoming.put_nowait(DISCONNECT)
        return asked

    async def ask(self, peer="203.0.113.7", method="GET"):
        sent = []
        await self.begin(sent, peer, method=method)
        return sent[0]["status"], dict(sent[0]["headers"]), b"".join(e["body"] for e in sent[1:])

    async def begin_unread(self, sent, is_read):
        """Ask, and return when the answer waits to be read."""
        counted = self.served.requests().total()
        asked = self.begin(sent, is_read=is_read)
        while self.served.requests().total() == counted:
            await asyncio.sleep(0)
        return asked


@pytest.fixture(params=[True, False], ids=["hot", "quart"])
def answering(request, monkeypatch):
    """Two answers of this size are all that there is memory for, and one for each address."""
    monkeypatch.setattr(translation, "MAX_UNSENT_BYTES", 4 * len(SMALL))
    return lambda body=3 * SMALL, **told: Answering(body, fastpath=request.param, **told)


async def test_of_answers_that_nobody_reads_an_address_has_its_share(answering):
    app = answering()
    is_read, sent = asyncio.Event(), []
    unread = await app.begin_unread(sent, is_read)
    status, headers, body = await app.ask()

    assert (status, json.loads(body)["code"]) == (503, "overloaded")
    assert headers[b"retry-after"] == b"1"
    assert app.undelivered == [True]
    assert app.served.requests() == {("GET", "/", "200"): 1, ("GET", "/", "503"): 1}
    assert (await app.ask("203.0.113.8"))[0] == 200

    is_read.set()
    await unread
    assert (sent[0]["status"], app.undelivered) == (200, [True])
    assert (await app.ask())[0] == 200


@pytest.mark.parametrize("leave", [lambda asked: asked.leave(), lambda asked: asked.cancel()])
async def test_who_goes_without_having_read_gives_the_memory_back(answering, leave):
    app = answering()
    for _ in range(3):
        unread = await app.begin_unread([], asyncio.Event())
        leave(unread)
        await asyncio.wait([unread])

    assert app.undelivered == [True] * 3
    assert (await app.ask())[0] == 200


async def test_small_answers_are_given_whatever_memory_the_large_ones_take(answering):
    app = answering(SMALL)
    unread = [await app.begin_unread([], asyncio.Event()) for _ in range(5)]

    assert (await app.ask())[0] == 200
    for asked in unread:
        asked.cancel()
    await asyncio.wait(unread)


async def test_what_is_kept_for_all_anyway_takes_no_memory_from_others(answering):
    app = answering(is_shared=True)
    unread = [await app.begin_unread([], asyncio.Event()) for _ in range(5)]

    assert (await app.ask())[0] == 200
    for asked in unread:
        asked.cancel()
    await asyncio.wait(unread)


async def test_an_answer_that_tells_of_what_was_done_is_given_whatever_memory_others_take(
    answering,
):
    app = answering()
    unread = await app.begin_unread([], asyncio.Event())

    assert (await app.ask(method="POST"))[0] == 200
    unread.cancel()
    await asyncio.wait([unread])


def routes(*told):
    """A plugin with these routes, each answered with what it is called."""

    def route(method, path, *, hot=False):
        async def answer(request):
            parts = "".join(f" {name}={value}" for name, value in request.params.items())
            return Response(body=f"{method} {path}{parts}".encode())

        return Route(method, path, answer, hot=hot)

    return Plugin(*(route(method, path, hot=hot) for method, path, hot in told))


@pytest.mark.parametrize("fastpath", [True, False])
@pytest.mark.parametrize("hot", [True, False])
@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize(
    ("method", "path", "answered"),
    [
        ("GET", "/letters/7", "GET /letters/{id} id=7"),
        ("POST", "/letters/send", "POST /letters/send"),
        # what stands there by name is no id, whatever is asked of it
        ("GET", "/letters/send", {"POST"}),
        ("DELETE", "/letters/send", {"POST"}),
        ("PUT", "/letters/send", {"POST"}),
        ("GET", "/letters/7/stamps/all", {"DELETE"}),
        # but only there, and only by its whole name
        ("GET", "/letters/send%20it", "GET /letters/{id} id=send it"),
        ("GET", "/letters/sender", "GET /letters/{id} id=sender"),
        ("GET", "/letters/SEND", "GET /letters/{id} id=SEND"),
        ("DELETE", "/letters/7", "DELETE /letters/{id} id=7"),
        ("PUT", "/letters/7", {"GET", "HEAD", "DELETE"}),
        ("GET", "/letters/send/stamps/3", "GET /letters/{id}/stamps/{stamp} id=send stamp=3"),
    ],
)
async def test_other_methods_of_a_fixed_path_are_405_beside_a_variable_one(
    fastpath, hot, prefix, method, path, answered
):
    app = mounted(
        (
            "post",
            routes(
                ("GET", "/letters/{id}", hot),
                ("DELETE", "/letters/{id}", False),
                ("POST", "/letters/send", hot),
                ("GET", "/letters/{id}/stamps/{stamp}", hot),
                ("DELETE", "/letters/{id}/stamps/all", False),
            ),
        ),
        fastpath=fastpath,
    )
    answer = await app.test_client().open(prefix + path, method=method)

    if isinstance(answered, str):
        assert (answer.status_code, (await answer.get_data()).decode()) == (200, answered)
    else:
        assert answer.status_code == 405
        allowed = set(answer.headers["allow"].split(", "))
        assert allowed - {"HEAD"} == answered - {"HEAD"}
