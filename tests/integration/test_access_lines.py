"""The lines for requests, through both adapters: one each, which tells who and what, and no
secret."""

import json
from contextlib import asynccontextmanager

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from broker.assembly import assemble
from broker.config import make_config
from broker.logs.bridge import Bridge, heard as hearing
from broker.mounting import mount
from broker.testing import ManualClock
from broker.tracing import exporting

TOKENS = """
    from broker import Authenticator, Identity, hookimpl

    class Tokens(Authenticator):
        async def authenticate(self, credentials):
            subject = "ana\\n\\x1b[31m" if credentials.token == "hostile" else "ana"
            return Identity(subject=subject, scopes=frozenset({"admin"}), peer=credentials.peer)

    @hookimpl
    def provide_authenticator(plugin):
        return Tokens()
"""
SECRET = {"authorization": "Bearer s3cr3t-s3cr3t-s3cr3t"}


@pytest.fixture(params=[True, False], ids=["fastpath", "quart"])
def served(request, install, tmp_path):
    """Run a broker, and collect the lines for its requests."""
    install("tokens", TOKENS)

    @asynccontextmanager
    async def serve(*plugins, **tables):
        lines = []
        table = {"plugins": ["memory", "tokens", *plugins], "data_dir": str(tmp_path)}
        assembly = assemble(make_config({"broker": table, **tables}), clock=ManualClock())
        app = mount(
            assembly, lifespan=assembly.running, fastpath=request.param, access=lines.append
        )
        app.clock = assembly.broker.clock
        async with app.test_app():
            yield app.test_client(), lines

    return serve


def told(lines, *names):
    return [tuple(one.fields().get(name) for name in names) for one in lines]


async def test_each_request_has_one_line_whatever_became_of_it(served):
    async with served() as (client, lines):
        await client.post("/queues", json={"name": "q"}, headers=SECRET)
        await client.post("/queues/q/messages", json={"content": "x"}, headers=SECRET)
        await client.post("/v1/queues/q/messages", json={}, headers=SECRET)
        await client.get("/queues/gone?access_token=s3cr3t", headers=SECRET)
        await client.get("/queues/q")
        await client.get("/nowhere?access_token=s3cr3t", headers=SECRET)
        await client.put("/queues", headers=SECRET)

    assert told(lines, "method", "route", "status", "identity", "queue", "path") == [
        ("POST", "/queues", 201, "ana", None, None),
        ("POST", "/queues/{queue}/messages", 201, "ana", "q", None),
        ("POST", "/queues/{queue}/messages", 422, "ana", "q", None),
        ("GET", "/queues/{queue}", 422, "ana", "gone", None),
        ("GET", "/queues/{queue}", 401, None, "q", None),
        ("GET", "unmatched", 404, None, None, "/nowhere"),
        ("PUT", "unmatched", 405, None, None, "/queues"),
    ]
    assert "s3cr3t" not in b"".join(line.json() for line in lines).decode()


async def test_a_line_names_the_request_as_its_answer_does(served):
    async with served() as (client, lines):
        first = await client.get("/", headers={"x-request-id": "mine-1"})
        second = await client.get("/")

    ids = [first.headers["x-request-id"], second.headers["x-request-id"]]
    assert told(lines, "request_id") == [("mine-1",), (ids[1],)]


async def test_a_line_names_the_trace_of_its_request_if_there_are_traces(served, monkeypatch):
    monkeypatch.setattr(exporting, "exporter_to", lambda _: InMemorySpanExporter())
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {**SECRET, "traceparent": f"00-{trace}-b7ad6b7169203331-00"}
    asked = [("GET", "/queues"), ("GET", "/nowhere"), ("PUT", "/queues"), ("POST", "/queues")]
    for tables, told_of in (({"traces": {"endpoint": "http://c"}}, trace), ({}, None)):
        async with served(**tables) as (client, lines):
            for method, path in asked:
                await client.open(path, method=method, headers=headers)

        assert told(lines, "trace_id") == [(told_of,)] * len(asked)


async def test_whatever_a_client_writes_its_line_is_one(served):
    hostile = "%0d%0a%1b[31m%e2%80%a8%e2%80%ae"
    async with served() as (client, lines):
        for path in (f"/queues/{hostile}", f"/{hostile}", f"/queues/{hostile}/messages/consume"):
            await client.get(path, headers={"authorization": "Bearer hostile"})

    assert len(lines) == 3
    for line in lines:
        text = line.json().decode()
        assert text[:-1].isprintable()
        assert len(text.splitlines()) == 1
        json.loads(text)


FAILING = """
    from broker import Response, Route, Transport, Unavailable, hookimpl

    class Failing(Transport):
        def routes(self):
            yield Route("GET", "/break", self.fail)
            yield Route("GET", "/away", self.be_away)

        async def fail(self, request):
            raise ZeroDivisionError

        async def be_away(self, request):
            raise Unavailable("for a while")

    @hookimpl
    def provide_transport(plugin, broker):
        return Failing()
"""


async def test_what_went_wrong_is_more_severe_than_what_went_well_and_what_probes_ask_less(
    served, install
):
    install("failing", FAILING)
    async with served("failing") as (client, lines):
        for path in ("/healthz", "/readyz", "/queues", "/nowhere", "/break", "/away"):
            await client.get(path, headers=SECRET)

    assert told(lines, "message", "status", "level") == [
        ("GET /healthz", 200, "debug"),
        ("GET /readyz", 200, "debug"),
        ("GET /queues", 200, "info"),
        ("GET unmatched", 404, "info"),
        ("GET /break", 500, "error"),
        ("GET /away", 503, "warning"),
    ]


TELLING = """
    import asyncio
    from broker import Response, Route, Stream, Transport, hookimpl

    class Lines(Stream):
        pieces = [b"one", b"two"]

        def __init__(self, identity, log):
            super().__init__(identity)
            self.log = log
            self.pieces = [b"one", b"two"]

        async def take(self):
            self.log("of its stream")
            if not self.pieces:
                self.end("deleted")
                return b""
            return self.pieces.pop()

    class Telling(Transport):
        def __init__(self, plugin, broker):
            self.log = plugin.logger.warning
            self.clock = plugin.clock
            self.broker = broker
            self.late = asyncio.Event()
            self.task = None

        def routes(self):
            yield Route("GET", "/tell", self.tell)
            yield Route("GET", "/hot-tell", self.tell, hot=True)
            yield Route("GET", "/stream", self.stream)
            yield Route("GET", "/hot-stream", self.stream, hot=True)
            yield Route("GET", "/late", self.end)

        async def tell(self, request):
            await self.broker.identify_request(request)
            self.log("within")
            self.clock.call_at(self.clock.now() + 1000, lambda: self.log("by a timer"))
            self.task = asyncio.create_task(self.tell_late())
            return Response()

        async def tell_late(self):
            await self.late.wait()
            self.log("by a task")

        async def stream(self, request):
            identity = await self.broker.identify_request(request)
            self.task = asyncio.create_task(self.tell_late())
            return Response(stream=Lines(identity, self.log))

        async def end(self, request):
            self.late.set()
            await self.task
            return Response()

    @hookimpl
    def provide_transport(plugin, broker):
        return Telling(plugin, broker)
"""


@pytest.fixture
def heard():
    """What is told becomes lines here."""
    lines = []
    with hearing(Bridge(lines.append, ManualClock().now, lambda: None), "INFO"):
        yield lines


@pytest.mark.parametrize("path", ["/tell", "/hot-tell"])
async def test_what_is_told_within_a_request_names_it_and_what_it_left_behind_does_not(
    served, install, heard, path
):
    install("telling", TELLING)
    async with served("telling") as (client, _):
        answer = await client.get(path, headers=SECRET)
        client.app.clock.advance(1)
        await client.get("/late", headers=SECRET)

    request_id = answer.headers["x-request-id"]
    assert told(heard, "message", "request_id", "identity") == [
        ("within", request_id, "ana"),
        ("by a timer", None, None),
        ("by a task", None, None),
    ]


@pytest.mark.parametrize("path", ["/stream", "/hot-stream"])
async def test_a_stream_is_of_its_request_until_it_ends(served, install, heard, path):
    install("telling", TELLING)
    async with served("telling") as (client, _):
        answer = await client.get(path, headers=SECRET)
        assert await answer.get_data() == b"twoone"
        await client.get("/late", headers=SECRET)

    request_id = answer.headers["x-request-id"]
    assert told(heard, "message", "request_id", "identity") == [
        *[("of its stream", request_id, "ana")] * 3,
        ("by a task", None, None),
    ]
