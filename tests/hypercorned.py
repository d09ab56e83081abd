"""Hypercorn with an app of a test, in its own loop."""

import asyncio
import socket
from contextlib import asynccontextmanager

from broker.serving import with_hypercorn
from broker.serving.endpoint import Endpoint


@asynccontextmanager
async def serving(app, *, grace_seconds=60, max_connections=1):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        drained = asyncio.Event()
        endpoint = Endpoint(listener, None, grace_seconds, max_connections)
        serving = asyncio.ensure_future(with_hypercorn.serve(app, endpoint, drained))
        yield listener.getsockname()
        drained.set()
        await serving
