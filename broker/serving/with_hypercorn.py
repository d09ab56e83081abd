"""Hypercorn, in the event loop of the broker."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import hypercorn.asyncio.run
import hypercorn.protocol
from hypercorn.asyncio import serve as serve_with_hypercorn
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config
from hypercorn.events import Closed
from hypercorn.protocol.h11 import H11Protocol

from broker.delivery import ASGIApp
from broker.errors import ConfigError
from broker.serving.endpoint import BACKLOG, IDLE_SECONDS, MAX_HEAD_BYTES, Endpoint
from broker.serving.http2 import REPLACED, Http2

_REPLACED = (
    (hypercorn.asyncio.run, "TCPServer"),
    (hypercorn.protocol, "H11Protocol"),
    (hypercorn.protocol, "H2Protocol"),
    (TCPServer, "_close"),
    (H11Protocol, "_check_protocol"),
    (H11Protocol, "_create_stream"),
    (H11Protocol, "handle"),
    *REPLACED,
)


async def serve(app: ASGIApp, endpoint: Endpoint, drained: asyncio.Event) -> None:
    """Serve an app, as `broker.serving.Serve` says; raises ConfigError if Hypercorn has not what
    is replaced here, and would go its own way."""
    _check_replaced()
    # No setting does it.
    hypercorn.asyncio.run.TCPServer = _Connection  # type: ignore[attr-defined]  # it does not say so
    hypercorn.protocol.H11Protocol = _Http1Only  # type: ignore[attr-defined]  # nor here
    hypercorn.protocol.H2Protocol = Http2  # type: ignore[attr-defined, assignment]  # nor here
    await serve_with_hypercorn(app, _config(endpoint), shutdown_trigger=drained.wait)


class _Connection(TCPServer):
    """A connection whose end is no error, even if its client was still sending over TLS."""

    async def _close(self) -> None:
        with suppress(ssl.SSLError):
            await super()._close()


class _Http1Only(H11Protocol):
    """HTTP/1.1 without the ways to HTTP/2 in clear text, which would lead requests past a proxy's
    rules."""

    _is_closed = False

    async def _check_protocol(self, event: Any) -> None:
        pass

    async def handle(self, event: Any) -> None:
        if isinstance(event, Closed):
            self._is_closed = True
        await super().handle(event)

    async def _create_stream(self, request: Any) -> None:
        # Or requests that a client sent ahead would be answered, one by one, when it is gone.
        if not self._is_closed:
            await super()._create_stream(request)


def _check_replaced() -> None:
    for owner, name in _REPLACED:
        if not hasattr(owner, name):
            raise ConfigError(
                'server.http_server: "hypercorn" does not fit this broker as it is installed '
                f"(hypercorn {version('hypercorn')}, h2 {version('h2')}): "
                f"{owner.__name__} has no {name}; "
                "install the versions that it needs with: pip install --upgrade replika-broker"
            )


def _config(endpoint: Endpoint) -> Config:
    config = Config()
    config.bind = [f"fd://{os.dup(endpoint.listener.fileno())}"]  # Hypercorn closes what it gets
    config.backlog = BACKLOG
    config.graceful_timeout = endpoint.grace_seconds
    config.keep_alive_timeout = IDLE_SECONDS
    config.keep_alive_max_requests = 2**62
    config.h11_max_incomplete_size = MAX_HEAD_BYTES
    config.errorlog = logging.getLogger("broker.hypercorn")
    config.errorlog.setLevel(logging.WARNING)  # its "Running on" is said better by the screen
    config.include_server_header = False
    config.alpn_protocols = ["h2", "http/1.1"]
    config.ssl_handshake_timeout = IDLE_SECONDS
    if endpoint.certificate is not None:
        config.certfile = str(endpoint.certificate.chain)
        config.keyfile = str(endpoint.certificate.key)
    return config
