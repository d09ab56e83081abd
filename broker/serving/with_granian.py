"""Granian, embedded: HTTP in a thread of its own, the app in the event loop of the broker."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]  # its only way to a socket
from granian.server.embed import Server

from broker.delivery import ASGIApp, Receive, Scope, Send
from broker.serving.endpoint import (
    BACKLOG,
    IDLE_SECONDS,
    MAX_HEAD_BYTES,
    MAX_STREAMS,
    PIECE_BYTES,
    Endpoint,
)
from broker.serving.strictness import refuse

CUT_SECONDS = 0.5
"""How long Granian may take to end when its requests are cut off."""

FAREWELL_SECONDS = 2
"""How long WebSockets may take to end when the server drains."""

_SIDE_BY_SIDE = ("2", "2.0")
"""HTTP/2, where it is not the end of a connection that ends a request."""


async def serve(app: ASGIApp, endpoint: Endpoint, drained: asyncio.Event) -> None:
    """Serve an app, as `broker.serving.Serve` says."""
    requests = _Requests(app)
    server = _Server(requests, endpoint)
    serving = asyncio.ensure_future(server.serve())
    draining = asyncio.ensure_future(drained.wait())
    try:
        await asyncio.wait((serving, draining), return_when=asyncio.FIRST_COMPLETED)
        late = asyncio.get_running_loop().time() + endpoint.grace_seconds
        await requests.say_farewell(min(FAREWELL_SECONDS, endpoint.grace_seconds))
        server.stop()  # type: ignore[no-untyped-call]  # Granian's
        left = late - asyncio.get_running_loop().time()
        await asyncio.wait((serving,), timeout=max(0, left))
        requests.cancel()
        await serving
    finally:
        requests.cancel()
        # Granian would report an error if it ended only after it was cancelled.
        await asyncio.wait((serving,), timeout=CUT_SECONDS)
        serving.cancel()
        draining.cancel()


class _Requests:
    """An ASGI layer that makes up for what Granian does differently from other servers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running: set[asyncio.Task[Any]] = set()
        self._sockets: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        task = asyncio.current_task()
        assert task is not None, "Granian runs apps in tasks"
        self._running.add(task)
        try:
            if scope["type"] == "http":
                await self._answer(scope, receive, send)
            else:
                self._sockets.add(task)
                with _lent(receive) as receiving, _lent(send) as sending:
                    await self._app(scope, receiving, _in_one_piece(sending))
        except asyncio.CancelledError:
            pass  # Granian would call it an error of the app
        finally:
            self._running.discard(task)
            self._sockets.discard(task)

    async def say_farewell(self, seconds: float) -> None:
        """Let WebSockets end, which Granian would cut off at once, for so many seconds at most."""
        if self._sockets:
            await asyncio.wait(self._sockets, timeout=seconds)

    def cancel(self) -> None:
        """End all requests without an answer of ours."""
        for task in self._running:
            task.cancel()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered, whole = False, False

        async def watched_receive() -> Any:
            nonlocal whole
            message = await receive()
            whole = not message.get("more_body")
            return message

        async def watched_send(message: Any) -> None:
            nonlocal answered
            answered = True
            if scope["method"] == "HEAD" and message["type"] == "http.response.body":
                message = {**message, "body": b""}  # over HTTP/2 Granian would send it
            for part in _in_pieces(message):
                await send(part)

        await self._app(scope, watched_receive, watched_send)
        while scope["http_version"] in _SIDE_BY_SIDE and not whole:
            # Granian would reset the stream, and a client that still sends miss its answer.
            await watched_receive()
        if not answered:
            # The client is gone, or its body is no HTTP; which of both, Granian does not tell.
            await refuse(send, kind="http", level=logging.DEBUG)


def _in_pieces(message: Any) -> Iterator[Any]:
    """Yield a message, or several for a long body, of which Granian takes the next only when the
    client has read; a whole one it would take at once, and keep until the client goes."""
    body = message.get("body", b"")
    if len(body) <= PIECE_BYTES:
        yield message
        return
    rest = memoryview(body)
    while rest:
        piece, rest = bytes(rest[:PIECE_BYTES]), rest[PIECE_BYTES:]
        yield {**message, "body": piece, "more_body": bool(rest) or message.get("more_body", False)}


@contextmanager
def _lent(call: Any) -> Iterator[Any]:
    """Give what can be called until the block ends: who keeps it longer shall not keep what is
    Granian's, which lets a connection go when nobody has it any more."""
    calls = [call]

    async def lent(*arguments: Any) -> Any:
        return await calls[0](*arguments)

    try:
        yield lent
    finally:
        calls.clear()


def _in_one_piece(send: Send) -> Send:
    """Return a `send` for refusals of WebSockets, which Granian takes in one piece only."""
    parts: list[bytes] = []

    async def send_whole(message: Any) -> None:
        if message["type"] != "websocket.http.response.body":
            await send(message)
            return
        parts.append(message["body"])
        if not message["more_body"]:
            await send({"type": message["type"], "body": b"".join(parts)})

    return send_whole


class _Server(Server):
    def __init__(self, app: ASGIApp, endpoint: Endpoint) -> None:
        certificate = endpoint.certificate
        super().__init__(
            app,
            interface=Interfaces.ASGI,
            # In clear text, HTTP/2 would lead requests past a proxy's rules.
            http=HTTPModes.auto if certificate else HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=IDLE_SECONDS * 1000, max_buffer_size=MAX_HEAD_BYTES
            ),
            http2_settings=HTTP2Settings(
                max_concurrent_streams=MAX_STREAMS,
                max_headers_size=MAX_HEAD_BYTES,
                max_send_buffer_size=PIECE_BYTES,
            ),
            backpressure=endpoint.max_connections,
            ssl_cert=certificate.chain if certificate else None,
            ssl_key=certificate.key if certificate else None,
            ssl_protocol_min=SSLProtocols.tls12,
            log_level=LogLevels.error,
            # Granian's own would replace the handlers of all other loggers.
            log_dictconfig={"incremental": True, "handlers": {}, "loggers": {}},
        )
        self._listener = endpoint.listener

    def _init_shared_socket(self) -> None:
        # Ours is bound already: Granian's own way shares the port with whoever asks for it.
        descriptor = os.dup(self._listener.fileno())  # Granian closes it
        holder: Any = SocketHolder
        listens_again = sys.platform.startswith(("linux", "freebsd"))
        self._shd = holder(descriptor, False, *([BACKLOG] if listens_again else []))
