"""A client's side of a WebSocket."""

from __future__ import annotations

import asyncio
from typing import Any

from broker.delivery import ASGIApp, Scope
from broker.testing.connection import Connection


class ClosedError(AssertionError):
    """The broker closed a WebSocket of which a test expected more."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the broker closed the WebSocket: {code} {reason}".rstrip())
        self.code = code
        """The close code (RFC 6455, section 7.4)."""
        self.reason = reason
        """What the broker says of why."""


class WebSocket(Connection):
    """A WebSocket that the broker accepted; what it chose of the client's subprotocols is
    `subprotocol`."""

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self._incoming: asyncio.Queue[Any] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self.subprotocol: str | None = None
        """What the broker chose of the client's subprotocols."""
        super().__init__(app, scope)

    def send(self, message: str | bytes) -> None:
        """Send a text, or bytes."""
        kind = "text" if isinstance(message, str) else "bytes"
        self._incoming.put_nowait({"type": "websocket.receive", kind: message})

    async def receive(self) -> str | bytes:
        """Take the next message as soon as there is one; raises ClosedError."""
        event = await self._next()
        if event is None or event["type"] == "websocket.close":
            closed = event or {}
            raise ClosedError(closed.get("code", 1006), closed.get("reason") or "")
        text: str | None = event.get("text")
        return event["bytes"] if text is None else text

    def hang_up(self) -> None:
        """Go away without a word."""
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})
        super().hang_up()

    async def shake_hands(self) -> tuple[int, dict[str, str], bytes] | None:
        """Return when the broker accepted, or with the status, headers and body of its refusal."""
        event = await self._next()
        if event is not None and event["type"] == "websocket.accept":
            self.subprotocol = event.get("subprotocol")
            return None
        if event is None or event["type"] == "websocket.close":
            return 403, {}, b""  # what servers make of it (ASGI, "WebSocket close")
        headers = {name.decode().lower(): value.decode() for name, value in event["headers"]}
        body = await self._next()
        return event["status"], headers, body["body"]

    async def _receive(self) -> Any:
        return await self._incoming.get()
