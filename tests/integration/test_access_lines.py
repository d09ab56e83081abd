"""The lines for requests, through both adapters: one each, which tells who and what, and no
secret."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from broker.assembly import assemble
from broker.config import make_config
from broker.mounting import mount
from broker.testing import ManualClock

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
    config = {"broker": {"plugins": ["memory", "tokens"], "data_dir": str(tmp_path)}}

    @asynccontextmanager
    async def serve():
        lines = []
        assembly = assemble(make_config(config), clock=ManualClock())
        app = mount(
            assembly, lifespan=assembly.running, fastpath=request.param, access=lines.append
        )
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


async def test_what_is_told_within_a_request_names_it(served, caplog, monkeypatch):
    from broker.turn import CURRENT_TURN

    seen = []
    async with served() as (client, _):
        monkeypatch.setattr(
            "broker.operations.queues.Queues.list",
            lambda *_, **__: seen.append(CURRENT_TURN.get()) or asyncio.sleep(0, []),
        )
        answer = await client.get("/queues", headers=SECRET)

    [turn] = seen
    assert (turn.request_id, turn.identity) == (answer.headers["x-request-id"], "ana")
