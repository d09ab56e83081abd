"""The routes of this plugin."""

from __future__ import annotations

from collections.abc import Sequence

from broker import Broker, Request, Response, Route, Transport

from broker_sse.admission import Admission
from broker_sse.door import Door
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

    def __init__(self, broker: Broker, hub: Hub, *, door: Door, admission: Admission) -> None:
        self._broker = broker
        self._hub = hub
        self._door = door
        self._admission = admission

    def routes(self) -> Sequence[Route]:
        """Return the routes."""
        return (
            Route("GET", "/events", self.events, hot=True, gives=True),
            *self._admission.routes(),
        )

    async def events(self, request: Request) -> Response:
        """Stream what happens from now on."""
        identity, recheck = await self._door.enter(request)
        self._broker.permit_some(identity, "read")
        feed = Feed(self._broker, self._hub, identity, recheck=recheck)
        return Response(headers=HEADERS, stream=feed)
