"""WebSockets for Hypercorn, which otherwise unpacks and keeps whatever comes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypercorn.protocol.events import Request, Response, StreamClosed
from hypercorn.protocol.ws_stream import WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.frame_protocol import CloseReason

from broker.delivery import Receive, Scope
from broker.handshake import MESSAGE_BOUND, MessageBound

FAREWELL_SECONDS = 2
"""How long a client may take to answer the end of a WebSocket with its own."""

REPLACED: tuple[tuple[Any, str], ...] = tuple(
    (WSStream, name) for name in ("handle", "app_send", "_handle_events", "_send_wsproto_event")
)
"""What is replaced of the library, or called, of which no setting would do it."""


class WebSocket(WSStream):
    """A WebSocket whose messages are refused as soon as they are too large."""

    def __init__(self, app: Any, *args: Any) -> None:
        self._bound = MessageBound()
        super().__init__(_telling(app, self._bound), *args)
        self.send = _naming(self.send)
        self._size = 0
        self._has_ended = asyncio.Event()

    async def handle(self, event: Any) -> None:
        """Take what came: the request, bytes, the end of the connection."""
        if isinstance(event, Request):
            # Of compressed messages a thousandfold could come; and to compress keeps 256 KiB for
            # each client (RFC 7692).
            fields = [pair for pair in event.headers if pair[0] != b"sec-websocket-extensions"]
            event = replace(event, headers=fields)
        elif isinstance(event, StreamClosed):
            self._has_ended.set()
        await super().handle(event)
        if isinstance(event, Request) and self.closed:  # refused, and Hypercorn would leave it open
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def app_send(self, message: Any) -> None:
        """Send what the app says; when it ends, end as RFC 6455, section 7.1.1, asks: a client that
        is told why is not cut off while it may still send."""
        if message is not None:
            await super().app_send(message)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                if self._is_closing():
                    await self._has_ended.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await super().app_send(None)

    def _is_closing(self) -> bool:
        return (
            self.handshake.accepted
            and not self.closed
            and self.connection.state is ConnectionState.LOCAL_CLOSING
        )

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, Message):
                await self._take(event)
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                await self._send_wsproto_event(event.response())  # of a mistake, too
                self._has_ended.set()
                await self.send(StreamClosed(stream_id=self.stream_id))

    async def _take(self, event: Message[Any]) -> None:
        if self.connection.state is not ConnectionState.OPEN:
            return  # what still comes after our end means nothing
        self._size += len(event.data)
        if self._size > self._bound.size:
            self.buffer.clear()
            too_large = CloseConnection(
                code=CloseReason.MESSAGE_TOO_BIG, reason="the message is too large"
            )
            await self._send_wsproto_event(too_large)
            await self._tell({"type": "websocket.disconnect", "code": too_large.code})
            return
        self.buffer.extend(event)
        if event.message_finished:
            message = self.buffer.to_message()
            self.buffer.clear()
            self._size = 0
            await self._tell(message)

    async def _tell(self, message: Any) -> None:
        assert self.app_put is not None, "the app was begun with the request"
        await self.app_put(message)


def _naming(send: Any) -> Any:
    """Return a `send` that writes a header's name as RFC 6455 does: the Python client gql looks for
    no other."""

    async def naming(event: Any) -> None:
        if isinstance(event, Response):
            names = {b"sec-websocket-protocol": b"Sec-WebSocket-Protocol"}
            fields = [(names.get(name, name), value) for name, value in event.headers]
            event = replace(event, headers=fields)
        await send(event)

    return naming


def _telling(app: Any, bound: MessageBound) -> Any:
    """Return an app that is told the bound in its scope."""

    async def telling(scope: Scope, receive: Receive, *others: Any) -> None:
        scope[MESSAGE_BOUND] = bound
        await app(scope, receive, *others)

    return telling
