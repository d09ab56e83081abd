"""A broker with the plugin `graphql`, in the hands of a test: asked without a network."""

import json
from contextlib import asynccontextmanager

from broker import Draft, Identity, QueueSpec, Request
from broker.assembly import assemble
from broker.config import make_config
from broker.testing import ManualClock

ADMIN = Identity(subject="root", scopes=frozenset({"admin"}))
JSON = {"content-type": "application/json"}


class Graph:
    """Asks as `somebody` with `scopes`, which a test may change."""

    def __init__(self, assembly):
        self.assembly = assembly
        self.broker = assembly.broker
        self.clock = assembly.broker.clock
        self.storage = assembly.providers.storage[1]
        [self.transport] = [t for name, t in assembly.transports if name == "graphql"]
        self.scopes = frozenset({"admin"})

    async def identify(self, credentials, *, peer):
        return Identity(subject="somebody", scopes=self.scopes, peer=peer)

    async def post(self, body, **headers):
        """Return the response to a body, which is JSON unless it is bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(
            method="POST",
            path="/graphql",
            headers={**JSON, **headers},
            body=content,
            peer="203.0.113.7",
            request_id="r-1",
        )
        return await self.transport.answer(request)

    async def ask(self, query, *, operation=None, **variables):
        """Return the whole result of a document."""
        body = {"query": query, "variables": variables, "operationName": operation}
        return json.loads((await self.post(body)).body)

    async def data(self, query, **variables):
        """Return the data of a document that has no errors."""
        result = await self.ask(query, **variables)
        assert "errors" not in result, result["errors"]
        return result["data"]

    async def codes(self, query, **variables):
        """Return the codes of the errors of a document."""
        result = await self.ask(query, **variables)
        return [error["extensions"]["code"] for error in result.get("errors", ())]

    async def make(self, *names):
        for name in names:
            await self.broker.queues.create(ADMIN, QueueSpec(name))

    async def publish(self, queue, *bodies):
        drafts = [Draft(queue=queue, body=body.encode()) for body in bodies]
        return [result.id for result in await self.broker.publish(ADMIN, drafts)]


@asynccontextmanager
async def graph(tmp_path, *, plugins=(), environment="development", **config):
    """A graph over the memory storage; `config` is the table of the plugin."""
    settings = make_config(
        {
            "broker": {
                "plugins": ["graphql", *plugins],
                "anonymous": True,
                "data_dir": str(tmp_path),
                "environment": environment,
            },
            "plugins": {"graphql": config},
        }
    )
    assembly = assemble(settings, clock=ManualClock())
    one = Graph(assembly)
    async with assembly.running():
        one.broker.identify = one.identify
        yield one
