"""A whole broker, spoken to over ASGI: the same tests through every adapter of the routes."""

import asyncio
import json as json_module
from collections.abc import Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import pytest

from broker.assembly import Assembly, assemble
from broker.config import make_config
from broker.mounting import mount
from broker.testing import ManualClock


T = TypeVar("T")


@asynccontextmanager
async def serve_with_quart(assembly: Assembly):
    app = mount(assembly, lifespan=assembly.running, fastpath=False)
    async with app.test_app():
        yield app


@asynccontextmanager
async def serve_with_fastpath(assembly: Assembly):
    app = mount(assembly, lifespan=assembly.running)
    async with app.test_app():
        yield app


ADAPTERS = {"quart": serve_with_quart, "fastpath": serve_with_fastpath}
"""How the routes can be served: each gives an ASGI application while its broker runs."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json_module.loads(self.body)

    @property
    def fields(self) -> list[str]:
        """The names of the refused fields."""
        return [error["field"] for error in self.json["errors"]]


@dataclass(frozen=True)
class Pending:
    """A request whose answer has not come yet."""

    task: "asyncio.Task[Answer]"
    gone: asyncio.Event
    going_on: asyncio.Event
    reading: asyncio.Event
    """Whether the client takes what is sent."""
    outgoing: list[dict[str, Any]]
    """What was sent so far."""

    @property
    def done(self) -> bool:
        return self.task.done()


class Server:
    """A running broker; call it to send a request, move its `clock` with `advance`."""

    def __init__(self, runner: asyncio.Runner, app: Any, assembly: Assembly) -> None:
        self.assembly = assembly
        self.broker = assembly.broker
        self._runner = runner
        self._app = app

    def __call__(self, method: str, path: str, **request: Any) -> Answer:
        """Send a request and return its answer."""
        return self.finish(self.begin(method, path, **request))

    def begin(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | list[bytes] = b"",
        content_type: str | None = None,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        slowly: bool = False,
        client: str = "203.0.113.7",
    ) -> Pending:
        """Send a request without waiting for its answer; a list is a body in chunks.

        Who sends slowly sends the first chunk, and the others when the answer is asked for.
        """
        sent = list(headers.items() if isinstance(headers, dict) else headers or ())
        if json is not None:
            body = json_module.dumps(json).encode()
            content_type = content_type or "application/json"
        if content_type is not None:
            sent.append(("content-type", content_type))

        async def begin() -> Pending:
            gone, going_on, reading = asyncio.Event(), asyncio.Event(), asyncio.Event()
            reading.set()
            outgoing: list[dict[str, Any]] = []
            if not slowly:
                going_on.set()
            request = _request(
                *(self._app, method, path, sent, body, gone, going_on),
                client=client,
                reading=reading,
                outgoing=outgoing,
            )
            pending = Pending(asyncio.ensure_future(request), gone, going_on, reading, outgoing)
            await _let_others_run()
            return pending

        return self._runner.run(begin())

    def finish(self, pending: Pending) -> Answer:
        """Wait for the answer of a request."""

        async def finish() -> Answer:
            pending.going_on.set()
            return await pending.task

        return self._runner.run(finish())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something with the broker itself."""
        return self._runner.run(work)

    def hang_up(self, pending: Pending) -> None:
        """Go away before the answer came."""

        async def hang_up() -> None:
            pending.gone.set()
            await asyncio.wait([pending.task])
            await _let_others_run()

        self._runner.run(hang_up())

    def send_and_go(self, method: str, path: str, body: bytes = b"") -> None:
        """Send a whole request and go away with its last byte."""
        headers = [("content-type", "application/json")] if body else []

        async def send_and_go() -> None:
            gone = asyncio.Event()
            gone.set()
            with suppress(asyncio.CancelledError, ValueError):  # there may be no answer to read
                await _request(self._app, method, path, headers, body, gone)
            await _let_others_run()

        self._runner.run(send_and_go())

    def advance(self, seconds: float) -> None:
        """Let time pass, and let the broker do what is due."""

        async def advance() -> None:
            assert isinstance(self.broker.clock, ManualClock)
            self.broker.clock.advance(seconds)
            await _let_others_run()

        self._runner.run(advance())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something beside the requests."""
        return self._runner.run(work)

    def queues(self) -> Any:
        """Everything that the broker tells of its queues: policies, versions, counts, totals."""
        return self("GET", "/queues").json

    def publish(self, content: str = "hello", queue: str = "q", **fields: Any) -> int:
        """Publish a message; return its id."""
        path = f"/queues/{queue}/messages"
        answer = self("POST", path, json={"content": content, **fields})
        assert answer.status == 201, answer.body
        return answer.json["message_id"]

    def lease(self, queue: str = "q", **options: Any) -> list[dict[str, Any]]:
        """Lease messages."""
        answer = self("POST", f"/queues/{queue}/messages/lease", json=options)
        assert answer.status == 200, answer.body
        return answer.json["messages"]


async def _let_others_run() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def _request(
    app: Any,
    method: str,
    target: str,
    headers: list[tuple[str, str]],
    body: bytes | list[bytes],
    gone: asyncio.Event,
    going_on: asyncio.Event | None = None,
    *,
    client: str = "203.0.113.7",
    reading: asyncio.Event | None = None,
    outgoing: list[dict[str, Any]] | None = None,
) -> Answer:
    path, _, query = target.partition("?")
    if isinstance(body, bytes):
        framing, parts = (b"content-length", str(len(body)).encode()), [body]
    else:
        framing, parts = (b"transfer-encoding", b"chunked"), [*body, b""]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            (b"host", b"broker.test"),
            framing,
            *((name.lower().encode(), value.encode("latin-1")) for name, value in headers),
        ],
        "client": (client, 50_000),
        "server": ("broker.test", 80),
        "extensions": {},
    }
    incoming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    incoming[-1]["more_body"] = False
    outgoing = [] if outgoing is None else outgoing

    async def receive() -> dict[str, Any]:
        if incoming:
            if going_on is not None and len(incoming) < len(parts):
                await going_on.wait()
            return incoming.pop(0)
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(event: dict[str, Any]) -> None:
        if reading is not None:
            await reading.wait()
        outgoing.append(event)

    await app(scope, receive, send)
    if gone.is_set():
        return Answer(0, {}, b"")
    start, *rest = outgoing
    return Answer(
        status=start["status"],
        headers={name.decode().lower(): value.decode() for name, value in start["headers"]},
        body=b"".join(event.get("body", b"") for event in rest),
    )


@pytest.fixture
def serve_with(tmp_path):
    """Start a broker behind this adapter, with these settings of the table `[broker]`, `tables`
    of plugins, and the tables `server` and `traces`."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        def start(
            adapter: str,
            *,
            tables: Any = None,
            server: Any = None,
            traces: Any = None,
            **settings: Any,
        ) -> Server:
            broker = {"plugins": ["memory"], "data_dir": str(tmp_path), **settings}
            data = {
                "broker": broker,
                "plugins": tables or {},
                "server": server or {},
                "traces": traces or {},
            }
            assembly = assemble(make_config(data), clock=ManualClock())
            serving = ADAPTERS[adapter](assembly)
            return Server(runner, runner.run(stack.enter_async_context(serving)), assembly)

        yield start
        runner.run(stack.aclose())


@pytest.fixture(params=list(ADAPTERS))
def serve(request, serve_with):
    """Start a broker with these settings of the table `[broker]`."""
    return partial(serve_with, request.param)


@pytest.fixture
def call(serve) -> Server:
    """A broker that lets everybody do everything."""
    return serve(anonymous=True)


@pytest.fixture
def with_queue(call: Server) -> Server:
    """The same, with an empty queue `q`."""
    assert call("POST", "/queues", json={"name": "q"}).status == 201
    return call


@pytest.fixture
def in_use(with_queue: Server) -> Server:
    """The same, with message 1 leased, message 2 failed, message 3 pending."""
    for content in ("first", "second", "third"):
        with_queue.publish(content)
    _, second = with_queue.lease(limit=2)
    assert with_queue("POST", f"/messages/{second['id']}/nack").status == 200
    return with_queue


@pytest.fixture
def refuse(in_use: Server):
    """Check that an answer refuses these fields, and that the request changed nothing."""
    before = in_use.queues()

    def refuse(answer: Answer, fields: list[str], about: Any = None) -> None:
        assert answer.status == 422, (about, answer.body)
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(answer.json) == PROBLEM | {"errors"}
        assert answer.fields == fields, (about, answer.json)
        assert answer.json["detail"].isprintable()
        assert all(len(str(error.get("received"))) <= 600 for error in answer.json["errors"])
        assert in_use.queues() == before, about

    return refuse


PROBLEM = {"type", "title", "status", "detail", "instance", "request_id", "code"}
