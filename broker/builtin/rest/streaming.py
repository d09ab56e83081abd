"""The route that streams leases: messages as the client settles them."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import msgspec

from broker import (
    Broker,
    Consuming,
    EndReason,
    Identity,
    Invalid,
    QueueNotFound,
    Recheck,
    Request,
    Response,
    Route,
    Stream,
    choose_type,
    end_event,
    retry_ms,
    write_event,
    write_retry,
)
from broker.builtin.rest.about_messages import STREAM
from broker.builtin.rest.reading import read_query, read_queue
from broker.builtin.rest.render import EndView, view_delivery
from broker.builtin.rest.wire import StreamOptions

PIECE_BYTES = 128 * 1024
"""How much is sent at a time: who takes a large message slowly is not too slow for that."""

LINE_ENDS = [(end.encode(), b"\\u%04x" % ord(end)) for end in "\x85\u2028\u2029"]
"""What JSON leaves in a text though Unicode ends a line there, as some clients do, and how JSON
writes it so that it does not."""


class MessageStream(Stream):
    """What a client consumes, in one of the forms in which it can be sent."""

    media_type: ClassVar[str]

    def __init__(self, consuming: Consuming, *, recheck: Recheck) -> None:
        super().__init__(consuming.identity, recheck=recheck)
        self._consuming = consuming
        self._unsent = memoryview(self.greeting())
        consuming.listen(self.wake)

    @abstractmethod
    def greeting(self) -> bytes:
        """Return what a client gets at once, which means nothing to it but that it is served."""

    @abstractmethod
    def write_message(self, message: bytes) -> bytes:
        """Return a message, which is JSON, as it is sent."""

    @abstractmethod
    def write_end(self, event: str, reason: EndReason) -> bytes:
        """Return what tells that nothing more comes."""

    async def take(self) -> bytes:
        """Return messages, or a part of a large one."""
        if not self._unsent:
            try:
                await self._consuming.fetch()
            except QueueNotFound:
                self.end("deleted")
            if self.end_reason is not None:
                return b""
            views = [msgspec.json.encode(view_delivery(one)) for one in self._consuming.take()]
            self._unsent = memoryview(b"".join(map(self.write_message, views)))
        piece = bytes(self._unsent[:PIECE_BYTES])
        self._unsent = self._unsent[PIECE_BYTES:]
        return piece

    def farewell(self, reason: EndReason) -> bytes:
        """Return the rest of a message that is sent in part, and why no other comes."""
        return bytes(self._unsent) + self.write_end(end_event(reason), reason)

    def admit(self, identity: Identity) -> None:
        """Go on as long as the identity may consume."""
        super().admit(identity)
        self._consuming.admit(identity)

    async def close(self) -> None:
        """Give back what is unsettled, unless the client knows that it shall come again."""
        keep = self.end_reason == "rotated" and self.was_taken
        await self._consuming.close(keep=keep)


class MessageEvents(MessageStream):
    """Messages as Server-Sent Events.

    An empty line stands after messages only: some clients take any other for an event, too.
    """

    media_type = "text/event-stream"
    heartbeat = b": hb\n"

    def greeting(self) -> bytes:
        """Return after how long to come again."""
        return write_retry(retry_ms())

    def write_message(self, message: bytes) -> bytes:
        """Return an event."""
        return write_event("message", message)

    def write_end(self, event: str, reason: EndReason) -> bytes:
        """Return an event of another name."""
        return write_event(event, msgspec.json.encode(EndView(reason=reason)))


class MessageLines(MessageStream):
    """Messages as lines of JSON; a line with `event` is none, and an empty one nothing."""

    media_type = "application/x-ndjson"
    heartbeat = b"\n"

    def greeting(self) -> bytes:
        """Return an empty line."""
        return b"\n"

    def write_message(self, message: bytes) -> bytes:
        """Return a line, which is one to every client."""
        if not message.isascii():
            for end, escaped in LINE_ENDS:
                message = message.replace(end, escaped)
        return message + b"\n"

    def write_end(self, event: str, reason: EndReason) -> bytes:
        """Return a line with `event`."""
        return msgspec.json.encode({"event": event, "reason": reason}) + b"\n"


FORMS: dict[str, type[MessageStream]] = {
    form.media_type: form for form in (MessageEvents, MessageLines)
}


class StreamRoutes:
    """How consumers get messages without asking for each."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def routes(self) -> tuple[Route, ...]:
        """Return the route."""
        path = "/queues/{queue}/messages/stream"
        return (Route("GET", path, self.stream, hot=True, gives=True, described=STREAM),)

    async def stream(self, request: Request) -> Response:
        """Lease messages as the client settles them."""
        identity = await self._broker.identify_request(request)
        queue, options = Invalid.gather(
            lambda: read_queue(request), lambda: read_query(request, StreamOptions)
        )
        form = FORMS[choose_type(request, tuple(FORMS))]
        consuming = await self._broker.consume(
            identity, queue, prefetch=options.prefetch, lease_seconds=options.lease_seconds
        )
        stream = form(consuming, recheck=lambda: self._broker.identify_request(request))
        return Response(headers=(("content-type", form.media_type),), stream=stream)
