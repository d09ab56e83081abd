"""The routes of this plugin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec
from broker import (
    Action,
    Broker,
    Budget,
    Identity,
    QueueNotFound,
    Request,
    Response,
    Route,
    Transport,
    timestamp,
    write_event,
)

from broker_sse import about
from broker_sse.admission import Admission
from broker_sse.asking import read_payload, read_queue, read_start, read_wants
from broker_sse.door import Door
from broker_sse.feed import Demand, Feed
from broker_sse.filters import Filter
from broker_sse.full_feed import MAX_UNSENT_BYTES, FullFeed
from broker_sse.history import Start
from broker_sse.log import EventLog
from broker_sse.stats import Stats
from broker_sse.tickets import Tickets

HEADERS = (("content-type", "text/event-stream"),)


class SseTransport(Transport):
    """Streams of events."""

    def __init__(
        self,
        broker: Broker,
        log: EventLog,
        *,
        tickets: Tickets,
        door: Door,
        admission: Admission,
    ) -> None:
        """`tickets` are opened and closed with this; door and admission use them."""
        self._broker = broker
        self._log = log
        self._hub = log.hub
        self._tickets = tickets
        self._door = door
        self._admission = admission
        self._stats = Stats(broker)
        self._memory = Budget(MAX_UNSENT_BYTES, "too many large messages wait to be sent")

    async def open(self) -> None:
        """Open the tickets, and begin to look after those who want stats."""
        await self._tickets.open()
        self._stats.start()

    async def close(self) -> None:
        """Do neither any more."""
        await self._stats.stop()
        await self._tickets.close()

    def routes(self) -> Sequence[Route]:
        """Return the routes."""
        return (
            Route("GET", "/events", self.events, hot=True, gives=True, described=about.EVENTS),
            Route(
                "GET", "/stream/{queue}", self.queue, hot=True, gives=True, described=about.QUEUE
            ),
            *self._admission.routes(),
        )

    async def events(self, request: Request) -> Response:
        """Stream the events that a request asks for."""
        wants, with_payload = read_wants(request), read_payload(request)
        identity, recheck = await self._door.enter(request)
        self._broker.permit_some(identity, "read")
        actions: tuple[Action, ...] = ("read", "consume") if with_payload else ("read",)
        demands = self._demands(identity, wants, actions)
        start = await read_start(request, self._log)
        make = partial(FullFeed, memory=self._memory) if with_payload else Feed
        feed = make(
            self._broker,
            self._hub,
            identity,
            recheck=recheck,
            wants=wants,
            start=start,
            opening=self._open(start),
            write=lambda entry: entry.as_event,
            demands=demands,
            stats=self._stats,
        )
        return Response(headers=HEADERS, stream=feed)

    async def queue(self, request: Request) -> Response:
        """Stream what happens to the messages of one queue."""
        name = read_queue(request)
        identity, recheck = await self._door.enter(request)
        self._broker.permit(identity, "read", name)
        await self._broker.queues.policy(name)  # raises QueueNotFound
        start = await read_start(request, self._log)
        feed = Feed(
            self._broker,
            self._hub,
            identity,
            recheck=recheck,
            wants=Filter.of_messages(name),
            start=start,
            opening=self._connect(name, start),
            write=lambda entry: entry.as_message,
            demands=[("read", name)],
        )
        return Response(headers=HEADERS, stream=feed)

    def _demands(
        self, identity: Identity, wants: Filter, actions: Sequence[Action]
    ) -> list[Demand]:
        """Return what must be allowed as long as the stream goes on: these actions, with each queue
        that is asked for by name; raises Forbidden if one is not.

        Of a queue that it does not see it is not told, as of one that is not there yet.
        """
        demands: list[Demand] = []
        for name in sorted(wants.names):
            try:
                for action in actions:
                    self._broker.permit(identity, action, name)
            except QueueNotFound:
                continue
            demands += [(action, name) for action in actions]
        return demands

    def _open(self, start: Start) -> bytes:
        data = {
            "resumed_from": None if start.resumed_from is None else str(start.resumed_from),
            "gap": start.gap,
        }
        return write_event("open", msgspec.json.encode(data), event_id=self._id(start))

    def _connect(self, queue: str, start: Start) -> bytes:
        data = {
            "queue": queue,
            "message_id": None,
            "event": "connected",
            "timestamp": timestamp(self._broker.clock.now()),
        }
        opening = write_event("system", msgspec.json.encode(data), event_id=self._id(start))
        if start.gap:
            opening += write_event("gap", msgspec.json.encode({"reason": "history"}))
        return opening

    def _id(self, start: Start) -> str:
        # Of what comes next the client has nothing: if it goes now, it comes back to this.
        return str(self._hub.history.before(start.position))
