"""Several brokers in one process, each with a port, that share a storage and a Redis."""

import asyncio
import json
import socket
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from httpx_sse import aconnect_sse

from broker.assembly import assemble
from broker.config import make_config
from broker.mounting import mount
from broker.serving.endpoint import Endpoint
from broker.serving.with_hypercorn import serve

SHARED_STORAGE = """
from broker import hookimpl
from broker.builtin.memory import MemoryStorage

class SharedStorage(MemoryStorage):
    capabilities = MemoryStorage.capabilities | {"shared"}

storage = SharedStorage()

@hookimpl
def provide_storage(plugin):
    return storage
"""
"""A plugin for `install`: what one broker keeps, the others have."""


class BrokerNode:
    """A broker that serves, and a client of it."""

    def __init__(self, http, assembly=None):
        self.http = http
        self.assembly = assembly

    async def make(self, queue, **policy):
        """Make a queue."""
        answer = await self.http.post("/queues", json={"name": queue, **policy})
        assert answer.status_code == 201, answer.text

    async def publish(self, queue, content="m"):
        """Publish a message; return its id."""
        answer = await self.http.post(f"/queues/{queue}/messages", json={"content": content})
        assert answer.status_code == 201, answer.text
        return answer.json()["message_id"]

    async def consume(self, queue, *, wait=20):
        """Wait for a message; return its content."""
        path = f"/queues/{queue}/messages/consume"
        answer = await self.http.get(path, params={"wait": wait})
        assert answer.status_code == 200, answer.text
        return answer.json()["content"]

    @asynccontextmanager
    async def events(self, last=None, *, path="/events", **query):
        """Give the events of a stream, as httpx-sse has them."""
        headers = {} if last is None else {"last-event-id": last}
        async with aconnect_sse(self.http, "GET", path, params=query, headers=headers) as source:
            assert source.response.status_code == 200
            yield (event async for event in source.aiter_sse() if event.data)


def data(event):
    return json.loads(event.data)


@asynccontextmanager
async def broker_nodes(directory, *redis_urls, plugins=("shared", "sse"), tables=None, **sse):
    """Serve a broker for each of these URLs of a Redis, None for none."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                broker_node(directory / str(number), url, plugins, tables or {}, sse)
            )
            for number, url in enumerate(redis_urls)
        ]


@asynccontextmanager
async def broker_node(directory, redis_url, plugins=("shared", "sse"), tables=None, sse=None):
    """Serve a broker."""
    settings = {**(sse or {}), **({"redis_url": redis_url} if redis_url else {})}
    broker = {"plugins": list(plugins), "anonymous": True, "data_dir": str(directory)}
    broker |= {"max_streams": 5_000, "max_streams_per_identity": 5_000}
    plugin_tables = {"sse": settings, **(tables or {})}
    assembly = assemble(make_config({"broker": broker, "plugins": plugin_tables}))
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        drained = asyncio.Event()
        endpoint = Endpoint(listener, None, grace_seconds=1, max_connections=1_000)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with assembly.running(), httpx.AsyncClient(base_url=url, timeout=60) as http:
            serving = asyncio.create_task(serve(mount(assembly), endpoint, drained))
            try:
                yield BrokerNode(http, assembly)
            finally:
                assembly.broker.drain()
                drained.set()
                await serving
