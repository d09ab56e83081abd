"""What Quart can do at best: an app that sends every body it is sent to all who listen.

Its streams are made as Quart's documentation makes them: a queue and a generator for each.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

from quart import Quart, Response, request

from bench.echo import serve

OPENING = b": open\n\n"


def make_app() -> Quart:
    """Return the app."""
    app = Quart(__name__)
    listeners: set[asyncio.Queue[bytes]] = set()

    @app.get("/events")
    async def listen() -> Response:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        # Not first in the generator: whoever has the head of the answer misses nothing.
        listeners.add(queue)

        async def send() -> AsyncIterator[bytes]:
            try:
                yield OPENING
                while True:
                    yield await queue.get()
            finally:
                listeners.discard(queue)

        response = Response(send(), content_type="text/event-stream")
        response.timeout = None
        return response

    @app.post("/queues/<queue>/messages")
    async def publish(queue: str) -> dict[str, str]:
        event = await request.get_data()
        for listener in listeners:
            listener.put_nowait(event)
        return {"queue": queue}

    return app


if __name__ == "__main__":
    serve(make_app(), sys.argv[1])
