"""A client of GraphQL over a WebSocket, in the hands of a test: what a server would pass on."""

import asyncio
import json
from contextlib import asynccontextmanager

from broker.mounting import mount

INIT = {"type": "connection_init"}
GONE = {"type": "websocket.disconnect", "code": 1006}


class Socket:
    """One connection, from its handshake to its end."""

    def __init__(
        self, graph, *, subprotocols=("graphql-transport-ws",), peer="203.0.113.7", **headers
    ):
        self._incoming = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._sent = asyncio.Queue()
        self.takes = asyncio.Event()
        """Cleared: the client takes nothing."""
        self.takes.set()
        fields = {"host": "b", "x-request-id": "r-1", **headers}
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "root_path": "",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": (peer, 5),
            "subprotocols": list(subprotocols),
            "extensions": {"websocket.http.response": {}},
        }
        app = mount(graph.assembly)
        self.serving = asyncio.ensure_future(app(scope, self._incoming.get, self._send))

    async def _send(self, message):
        if message["type"] == "websocket.send":
            await self.takes.wait()
        self._sent.put_nowait(message)

    def say(self, *messages):
        """Send messages: text, bytes, or what becomes JSON."""
        for message in messages:
            kind = "bytes" if isinstance(message, bytes) else "text"
            content = json.dumps(message) if isinstance(message, dict) else message
            self._incoming.put_nowait({"type": "websocket.receive", kind: content})

    def ask(self, query, name="1", **variables):
        self.say(
            {"id": name, "type": "subscribe", "payload": {"query": query, "variables": variables}}
        )

    async def next(self):
        """Return what the server sends next, as ASGI has it."""
        return await asyncio.wait_for(self._sent.get(), 10)

    async def hear(self):
        """Return the next message."""
        event = await self.next()
        assert event["type"] == "websocket.send", event
        return json.loads(event["text"])

    async def end(self):
        """Return the code and the reason with which the server closes, once all is over."""
        event = await self.next()
        assert event["type"] == "websocket.close", event
        await self.serving
        return event["code"], event["reason"]

    def is_silent(self):
        return self._sent.empty()

    async def go(self):
        """Go without a word; return when nothing is left of the connection."""
        self._incoming.put_nowait(GONE)
        await self.serving


@asynccontextmanager
async def socket(graph, *, init=INIT, **options):
    """A connection that was accepted, and acknowledged unless `init` is None."""
    one = Socket(graph, **options)
    try:
        accept = await one.next()
        assert accept["type"] == "websocket.accept", accept
        if init is not None:
            one.say(init)
            assert await one.hear() == {"type": "connection_ack"}
        yield one
    finally:
        if not one.serving.done():
            await one.go()
