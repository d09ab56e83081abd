"""A request and its answer, of which a client takes a piece at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from broker.delivery import ASGIApp, Scope
from broker.testing.connection import Connection


class Exchange(Connection):
    """A request that was sent, and the answer to it as far as it has come.

    `status` and `headers` are there once it has `begun`.
    """

    def __init__(self, app: ASGIApp, scope: Scope, body: bytes) -> None:
        self._body: bytes | None = body
        self._is_whole = False
        self.status = 0
        """The status code of HTTP."""
        self.headers: Mapping[str, str] = {}
        """Names in lower case."""
        super().__init__(app, scope)

    async def begun(self) -> Exchange:
        """Return when the answer has begun, though nothing of its body may be there yet."""
        event = await self._next()
        assert event is not None, f"{self._about}: the broker ended without an answer"
        self.status = event["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in event["headers"]}
        return self

    async def next(self) -> bytes:
        """Take the next piece of the answer as soon as there is one; nothing at its end."""
        while not self._is_whole:
            event = await self._next()
            assert event is not None, f"{self._about}: the broker ended in the middle of its answer"
            self._is_whole = not event.get("more_body", False)
            if event.get("body"):
                piece: bytes = event["body"]
                return piece
        return b""

    async def rest(self) -> bytes:
        """Take all that is still to come, which a stream has to end for."""
        return b"".join([piece async for piece in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.next():
            yield piece

    def hang_up(self) -> None:
        """Go away, unless all of the answer was taken."""
        if not self._is_whole:
            super().hang_up()

    async def _receive(self) -> Any:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}
