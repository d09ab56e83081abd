"""Hypercorn, in the event loop of the broker."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

import hypercorn.protocol
import hypercorn.protocol.h11
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event
from hypercorn.protocol.h11 import H11Protocol

from broker.delivery import ASGIApp
from broker.errors import ConfigError
from broker.serving import http1, http2, websocket
from broker.serving.accepting import Acceptor
from broker.serving.endpoint import IDLE_SECONDS, MAX_HEAD_BYTES, PIECE_BYTES, Endpoint
from broker.serving.http1 import Http1
from broker.serving.http2 import Http2
from broker.serving.websocket import WebSocket

FAREWELL_SECONDS = 10
"""How long what is left of an answer, and a farewell over TLS, may take when a connection ends."""

_REPLACED: tuple[tuple[Any, str], ...] = (
    (hypercorn.protocol, "H11Protocol"),
    (hypercorn.protocol, "H2Protocol"),
    (TCPServer, "_close"),
    (TCPServer, "_initiate_server_close"),
    (TCPServer, "_read_data"),
    (TCPServer, "protocol_send"),
    (H11Protocol, "_check_protocol"),
    (H11Protocol, "_create_stream"),
    (H11Protocol, "_send_error_response"),
    (H11Protocol, "_send_h11_event"),
    (H11Protocol, "handle"),
    (H11Protocol, "stream_send"),
    (hypercorn.protocol.h11, "WSStream"),
    *http1.REPLACED,
    *http2.REPLACED,
    *websocket.REPLACED,
)


async def serve(app: ASGIApp, endpoint: Endpoint, drained: asyncio.Event) -> None:
    """Serve an app, as `broker.serving.Serve` says; raises ConfigError if Hypercorn has not what
    is replaced here, and would go its own way."""
    _check_replaced()
    # No setting does it.
    hypercorn.protocol.H11Protocol = Http1  # type: ignore[attr-defined, assignment]  # a name there
    hypercorn.protocol.H2Protocol = Http2  # type: ignore[attr-defined, assignment]  # here, too
    hypercorn.protocol.h11.WSStream = WebSocket  # type: ignore[attr-defined, assignment]  # here, too
    connections = _Connections(ASGIWrapper(app), endpoint)
    acceptor = Acceptor(
        endpoint.listener,
        endpoint.max_connections,
        connections.serve,
        endpoint.note_connections,
    )
    async with connections.lifespan():
        async with asyncio.TaskGroup() as tasks:
            accepting = tasks.create_task(acceptor.run())
            await drained.wait()
            accepting.cancel()
        await connections.drain()
        await acceptor.finish(endpoint.grace_seconds)


class _Connections:
    """Makes Hypercorn's connections of sockets."""

    def __init__(self, app: Any, endpoint: Endpoint) -> None:
        self._app = app
        self._config = _config(endpoint)
        self._context = WorkerContext(None)
        self._ssl = self._config.create_ssl_context()
        self._opening: set[socket.socket] = set()

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Tell the app when it begins and ends."""
        lifespan = Lifespan(self._app, self._config, asyncio.get_running_loop(), {})
        telling = asyncio.ensure_future(lifespan.handle_lifespan())
        await lifespan.wait_for_startup()
        try:
            yield
        finally:
            await lifespan.wait_for_shutdown()
            await telling

    async def serve(self, connection: socket.socket) -> None:
        """Serve one connection to its end."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        self._opening.add(connection)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._ssl,
                ssl_handshake_timeout=IDLE_SECONDS if self._ssl else None,
            )
        except OSError:  # no TLS, or too slow
            return
        finally:
            self._opening.discard(connection)
        # Over TLS it would be half a mebibyte, and who never reads be noticed that much later.
        transport.set_write_buffer_limits(PIECE_BYTES)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        await _Connection(self._app, loop, self._config, self._context, {}, reader, writer)

    async def drain(self) -> None:
        """End connections without a request; let the others end with theirs."""
        await self._context.terminated.set()
        for connection in self._opening:
            with suppress(OSError):  # gone already
                connection.shutdown(socket.SHUT_RDWR)


class _Connection(TCPServer):
    """A connection that ends even if its client does not read, or was still sending over TLS."""

    _farewell: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve until the end."""
        try:
            await super().run()
        finally:
            if self._farewell is not None:
                self._farewell.cancel()
            self.writer.transport.abort()
            # Or each would be the collector's, which stops everybody.
            self.protocol = _Ended()  # type: ignore[assignment]  # all that is still called of it

    async def protocol_send(self, event: Any) -> None:
        """Write what is sent; that the client takes none of it for too long is its end, too."""
        try:
            await super().protocol_send(event)
        except TimeoutError:
            await self.protocol.handle(Closed())

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()  # or who has gone would keep a place until it is over

    async def _initiate_server_close(self) -> None:
        self._limit_farewell()
        protocol = self.protocol.protocol
        if isinstance(protocol, Http1) and not self.context.terminated.is_set():
            await protocol.refuse_slow_head()
        await super()._initiate_server_close()

    async def _close(self) -> None:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # cut off: there is no time for a farewell
            self.writer.transport.abort()
        self._limit_farewell()
        with suppress(OSError):  # of TLS, or of a client that is gone without a word
            await super()._close()

    def _limit_farewell(self) -> None:
        if self._farewell is None:
            abort = self.writer.transport.abort
            self._farewell = self.loop.call_later(FAREWELL_SECONDS, abort)


class _Ended:
    """What is left of a connection's protocol: one that holds the connection no more."""

    protocol = None

    async def handle(self, event: Event) -> None:
        """Take what comes too late."""


def _check_replaced() -> None:
    for owner, name in _REPLACED:
        if not hasattr(owner, name):
            raise ConfigError(
                'server.http_server: "hypercorn" does not fit this broker as it is installed '
                f"(hypercorn {version('hypercorn')}, h11 {version('h11')}, h2 {version('h2')}): "
                f"{owner.__name__} has no {name}; "
                "install the versions that it needs with: pip install --upgrade replika-broker"
            )


def _config(endpoint: Endpoint) -> Config:
    config = Config()
    config.keep_alive_timeout = IDLE_SECONDS
    config.keep_alive_max_requests = 2**62
    config.h11_max_incomplete_size = MAX_HEAD_BYTES
    config.errorlog = logging.getLogger("broker.hypercorn")
    config.errorlog.setLevel(logging.WARNING)
    config.include_server_header = False
    config.alpn_protocols = ["h2", "http/1.1"]
    if endpoint.certificate is not None:
        config.certfile = str(endpoint.certificate.chain)
        config.keyfile = str(endpoint.certificate.key)
    return config
