"""HTTP/1.1 for Hypercorn, which otherwise refuses without a word and leads to HTTP/2."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any

import h11
from h11._receivebuffer import ReceiveBuffer
from h11._writers import ChunkedWriter
from hypercorn.events import Closed, RawData
from hypercorn.protocol.events import Body, StreamClosed
from hypercorn.protocol.h11 import H11Protocol

from broker.delivery import Receive, Scope
from broker.serving.endpoint import PIECE_BYTES
from broker.serving.refusal import make_refusal

_SPACE = (b" ", b"\t")

REPLACED = ((ReceiveBuffer, "maybe_extract_lines"),)
"""What is replaced of the library, of which no setting would do it."""


class _Lines(ReceiveBuffer):
    """What came, but for folded headers, which each reader of a connection may unfold its way."""

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Return the lines of a head, if they are whole; raises RemoteProtocolError."""
        lines = super().maybe_extract_lines()
        for line in lines or ():
            if line.startswith(_SPACE):
                raise h11.RemoteProtocolError("folded header")
        return lines


class _Reader(h11.Connection):
    """The library, but for what it takes and should not, and what it refuses and need not."""

    def __init__(self, limit: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=limit)
        self._receive_buffer = _Lines()

    def send(self, event: Any) -> Any:
        """Return what is sent of an event; raises LocalProtocolError if it may not be sent now."""
        # A chunk of many changes nothing, and the library would look at all that it might change.
        # One that keeps its writer elsewhere does so still.
        writer = getattr(self, "_writer", None)
        if type(event) is h11.Data and event.data and type(writer) is ChunkedWriter:
            return b"%x\r\n%b\r\n" % (len(event.data), event.data)
        return super().send(event)

    def next_event(self) -> Any:
        """Return what came next: nothing after the last request; raises RemoteProtocolError."""
        if self.their_state is h11.MUST_CLOSE:
            return h11.NEED_DATA
        event = super().next_event()
        if type(event) is h11.Request and not event.http_version.startswith(b"1."):
            reason = HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
            raise h11.RemoteProtocolError("unknown version", error_status_hint=reason)
        return event


class Http1(H11Protocol):
    """A connection without the ways to HTTP/2 in clear text, which would lead requests past a
    proxy's rules."""

    _is_closed = False
    _decision: asyncio.Event | None = None
    """Set once it is decided whether a client shall send the body that it asked about."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connection = _Reader(self.config.h11_max_incomplete_size)

    async def _check_protocol(self, event: Any) -> None:
        pass

    async def handle(self, event: Any) -> None:
        """Take what came from the network: bytes, or the end of the connection."""
        if isinstance(event, RawData) and self._takes_nothing():
            return
        if isinstance(event, Closed):
            self._is_closed = True
        await super().handle(event)

    def _takes_nothing(self) -> bool:
        return self._is_closed or self.connection.their_state is h11.MUST_CLOSE

    async def stream_send(self, event: Any) -> None:
        """Send a part of an answer; to one who has gone, nothing."""
        if not isinstance(event, Body):
            if not self._is_closed or isinstance(event, StreamClosed):
                await super().stream_send(event)
            return
        if len(event.data) <= PIECE_BYTES and not self._is_closed:
            await super().stream_send(event)
            return
        rest = memoryview(event.data)
        while rest and not self._is_closed:
            await super().stream_send(Body(event.stream_id, bytes(rest[:PIECE_BYTES])))
            rest = rest[PIECE_BYTES:]

    async def refuse_slow_head(self) -> None:
        """Tell a client that began a request, and did not end its headers, that it is too late."""
        begun = self.stream is None and self.connection.trailing_data[0]
        if begun and self.connection.our_state is h11.IDLE and not self._is_closed:
            self._is_closed = True
            await self._send_error_response(HTTPStatus.REQUEST_TIMEOUT)

    async def _create_stream(self, request: Any) -> None:
        # Or requests that a client sent ahead would be answered, one by one, when it is gone.
        if self._is_closed:
            return
        app = self.app
        if self.connection.they_are_waiting_for_100_continue:
            self._decision = asyncio.Event()
            self.app = _deciding(app, self._decision)
        try:
            await super()._create_stream(request)
        finally:
            self.app = app

    async def _send_h11_event(self, event: Any) -> None:
        # Hypercorn would tell everybody to send the body who asks whether to (RFC 9110, 10.1.1).
        if self._decision is not None:
            if isinstance(event, h11.InformationalResponse):
                await self._decision.wait()
                if not self.connection.they_are_waiting_for_100_continue:
                    return
            else:
                self._decision.set()
        await super()._send_h11_event(event)

    async def _send_error_response(self, status_code: int) -> None:
        # Who leaves in the middle of a request hears of it only if it still listens.
        has_ended = self.connection.trailing_data[1]
        level = logging.DEBUG if has_ended else logging.INFO
        headers, body = make_refusal(status_code, level=level)
        headers += self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


def _deciding(app: Any, decision: asyncio.Event) -> Any:
    """Return an app that decides, when it wants to receive something, that the body shall come."""

    async def deciding(scope: Scope, receive: Receive, *others: Any) -> None:
        async def receive_body() -> Any:
            decision.set()
            return await receive()

        await app(scope, receive_body, *others)

    return deciding
