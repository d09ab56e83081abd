"""Noticing, in front of everything, that a client went away before it got its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

UNDELIVERED = "broker.undelivered"
"""The key in an ASGI scope under which a request leaves what to do if nobody gets its answer."""

STREAM = "broker.stream"
"""The key in an ASGI scope under which a request leaves the stream that is its answer."""

PIECE_SECONDS = 15
"""How long a client may take to receive a piece of a stream."""


class Delivery:
    """An ASGI layer that undoes what an undelivered response gave away, and waits for who takes a
    stream no longer than for a piece.

    A message that was leased for a client that is gone should not wait for its lease to lapse.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        complete = False

        async def watched_send(message: Any) -> None:
            nonlocal complete
            async with asyncio.timeout(PIECE_SECONDS if STREAM in scope else None):
                await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                complete = True

        try:
            await self._app(scope, receive, watched_send)
        finally:
            undelivered = scope.get(UNDELIVERED)
            if undelivered is not None and not complete:
                await undelivered()
