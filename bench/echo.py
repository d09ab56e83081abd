"""What a server can do at best: a bare ASGI app that answers every request with its own body."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from broker.delivery import ASGIApp
from broker.server import listen
from broker.serving import server_named
from broker.serving.endpoint import Endpoint


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        return
    parts = []
    while True:
        message = await receive()
        parts.append(message["body"])
        if not message["more_body"]:
            break
    body = b"".join(parts)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve(app: ASGIApp, server: str) -> None:
    """Serve an app until the process is terminated; say where as `broker serve --json` does."""
    with listen("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        sys.stdout.write(f'{{"url": "http://{host}:{port}"}}\n')
        sys.stdout.flush()
        endpoint = Endpoint(listener, None, grace_seconds=1, max_connections=2000)
        asyncio.run(server_named(server)(app, endpoint, asyncio.Event()))


if __name__ == "__main__":
    serve(echo, sys.argv[1])
