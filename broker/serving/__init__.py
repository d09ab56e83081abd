"""HTTP servers: each serves an ASGI application at an endpoint until it is told to drain."""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from broker.delivery import ASGIApp
from broker.errors import ConfigError
from broker.serving.endpoint import Endpoint


class Serve(Protocol):
    """What every server here is."""

    async def __call__(self, app: ASGIApp, endpoint: Endpoint, drained: asyncio.Event) -> None:
        """Serve HTTP/1.1, over TLS HTTP/2 too, in this process until `drained` is set; then accept
        no connection, end those without a request at once and the others with theirs, but after
        the grace in any case."""
        ...


def server_named(name: str) -> Serve:
    """Return the server `hypercorn` or `granian`; raises ConfigError if it is not installed."""
    if find_spec(name) is None:
        raise ConfigError(
            f'server.http_server: "{name}" is not installed; '
            f"install it with: pip install 'replika-broker[{name}]'"
        )
    serve: Serve = import_module(f"broker.serving.with_{name}").serve
    return serve
