"""A client of a broker in the same process: HTTP and WebSockets without a network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any

import msgspec

from broker.assembly import Assembly
from broker.context import Clock
from broker.delivery import ASGIApp
from broker.engine import Broker
from broker.testing.answer import Answer, RefusedError
from broker.testing.connection import scope_of
from broker.testing.exchange import Exchange
from broker.testing.websocket import WebSocket

PEER = "203.0.113.7"
"""Where clients come from, unless they say otherwise: an address that is nobody's (RFC 5737)."""


class Client:
    """Asks a broker, which runs while this is entered as an async context manager.

    Requests take the whole way through the application that servers run; only sockets are missing.
    """

    def __init__(self, assembly: Assembly, *, token: str | None = None, hot: bool = True) -> None:
        """Without `hot`, hot routes are served by the framework, too, as they are when a plugin's
        blueprint gets in their way."""
        self.assembly = assembly
        """What the broker was assembled from, for tests of the core itself."""
        self.token = token
        """Sent as `Authorization: Bearer` with every request, unless None."""
        self._hot = hot
        self._stack = AsyncExitStack()
        self._app: ASGIApp | None = None

    @property
    def broker(self) -> Broker:
        """The broker itself."""
        return self.assembly.broker

    @property
    def clock(self) -> Clock:
        """The time of the broker."""
        return self.assembly.broker.clock

    async def __aenter__(self) -> Client:
        from broker.mounting import mount  # noqa: PLC0415  # imports a web framework

        await self._stack.enter_async_context(self.assembly.running())
        self._app = mount(self.assembly, fastpath=self._hot)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, at)

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        """Send a request; return the whole answer, which must not be a stream that goes on.

        `json`: what is sent as JSON; or `body`: a text or bytes, sent as they are; `headers`;
        `token`: sent instead of the client's own, "" for none; `peer`: the address that it comes
        from.
        """
        async with self.stream(method, path, **options) as exchange:
            body = await exchange.rest()
            return Answer(exchange.status, exchange.headers, body)

    @asynccontextmanager
    async def stream(self, method: str, path: str, **options: Any) -> AsyncIterator[Exchange]:
        """Send a request and give the answer once it has begun; with the end of the block the
        client goes away, whether or not it took everything.

        Options as `request` has them.
        """
        exchange = self.begin(method, path, **options)
        try:
            yield await exchange.begun()
        finally:
            await exchange.leave()

    def begin(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: str | bytes = b"",
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        peer: str = PEER,
    ) -> Exchange:
        """Send a request without waiting for anything; `leave` the exchange in any case."""
        kind = "text/plain; charset=utf-8" if isinstance(body, str) else "application/octet-stream"
        content = body.encode() if isinstance(body, str) else body
        if json is not None:
            kind, content = "application/json", msgspec.json.encode(json)
        sent = self._credentials(token)
        if content:
            sent |= {"content-type": kind}
        sent |= {"content-length": str(len(content)), **_lowered(headers)}
        scope = scope_of("http", path, sent, peer=peer)
        return Exchange(self._running(), {**scope, "method": method, "scheme": "http"}, content)

    @asynccontextmanager
    async def websocket(
        self,
        path: str,
        *,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        peer: str = PEER,
    ) -> AsyncIterator[WebSocket]:
        """Open a WebSocket, which is left with the block; raises RefusedError if the broker does
        not accept it."""
        sent = {**self._credentials(token), **_lowered(headers)}
        scope = scope_of("websocket", path, sent, peer=peer)
        scope |= {"scheme": "ws", "subprotocols": list(subprotocols)}
        scope["extensions"] = {"websocket.http.response": {}}
        socket = WebSocket(self._running(), scope)
        try:
            if refusal := await socket.shake_hands():
                raise RefusedError(Answer(*refusal))
            yield socket
        finally:
            await socket.leave()

    async def get(self, path: str, **options: Any) -> Answer:
        """Send a GET."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Answer:
        """Send a POST."""
        return await self.request("POST", path, **options)

    async def put(self, path: str, **options: Any) -> Answer:
        """Send a PUT."""
        return await self.request("PUT", path, **options)

    async def patch(self, path: str, **options: Any) -> Answer:
        """Send a PATCH."""
        return await self.request("PATCH", path, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        """Send a DELETE."""
        return await self.request("DELETE", path, **options)

    async def create_queue(self, name: str, **policy: Any) -> None:
        """Make a queue with this policy."""
        await self._demand("PUT", f"/queues/{name}", policy)

    async def publish(self, queue: str, content: Any, **fields: Any) -> int:
        """Publish a message: bytes, or whatever `content` and the other fields can be in REST;
        return its id."""
        if isinstance(content, bytes):
            body = {"content_base64": b64encode(content).decode(), **fields}
        else:
            body = {"content": content, **fields}
        answer = await self._demand("POST", f"/queues/{queue}/messages", body)
        message_id: int = answer["message_id"]
        return message_id

    async def lease(self, queue: str, *, limit: int = 1, **options: Any) -> list[dict[str, Any]]:
        """Lease messages; return them as REST does, each with its `receipt`."""
        answer = await self._demand(
            "POST", f"/queues/{queue}/messages/lease", {"limit": limit, **options}
        )
        messages: list[dict[str, Any]] = answer["messages"]
        return messages

    async def settle(self, receipt: str, kind: str = "ack", **fields: Any) -> None:
        """Settle a lease: ack, retry, release, reject or extend it; raises RefusedError if it
        could not be."""
        settlements = {kind: [{"receipt": receipt, **fields}]}
        answer = await self.post("/messages/settle", json=settlements)
        if answer.status != 200 or answer.json()["results"][0]["outcome"] != "ok":
            raise RefusedError(answer)

    async def ack(self, receipt: str) -> None:
        """Ack a lease."""
        await self.settle(receipt)

    async def _demand(self, method: str, path: str, json: Any) -> Any:
        answer = await self.request(method, path, json=json)
        if answer.status not in range(200, 300):
            raise RefusedError(answer)
        return answer.json()

    def _running(self) -> ASGIApp:
        assert self._app is not None, "enter the client first: async with client"
        return self._app

    def _credentials(self, token: str | None) -> dict[str, str]:
        token = self.token if token is None else token
        return {"authorization": f"Bearer {token}"} if token else {}


def _lowered(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}
