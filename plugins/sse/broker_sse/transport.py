"""The routes of this plugin."""

from __future__ import annotations

from collections.abc import Sequence

from broker import Broker, Identity, Request, Response, Route, Transport, read_credentials

from broker_sse.feed import Feed
from broker_sse.hub import Hub

HEADERS = (
    ("content-type", "text/event-stream"),
    ("cache-control", "no-store, no-transform"),
    ("x-accel-buffering", "no"),
)
"""A proxy shall neither keep nor pack what is sent (`x-accel-buffering` is nginx's word)."""


class SseTransport(Transport):
    """Streams of events."""

    def __init__(self, broker: Broker, hub: Hub) -> None:
        self._broker = broker
        self._hub = hub

    def routes(self) -> Sequence[Route]:
        """Return the routes."""
        return (Route("GET", "/events", self.events, hot=True, gives=True),)

    async def events(self, request: Request) -> Response:
        """Stream what happens from now on."""

        async def identify() -> Identity:
            return await self._broker.identify(read_credentials(request), peer=request.peer)

        feed = Feed(self._broker, self._hub, await identify(), recheck=identify)
        return Response(headers=HEADERS, stream=feed)
