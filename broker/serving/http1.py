"""HTTP/1.1 for Hypercorn, which otherwise refuses without a word and leads to HTTP/2."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import h11
from hypercorn.events import Closed, RawData
from hypercorn.protocol.h11 import H11Protocol

from broker.serving.refusal import make_refusal


class _Reader(h11.Connection):
    """The library, but for what it would refuse: what comes after a request that is the last."""

    def next_event(self) -> Any:
        """Return what came next; after the last request, nothing does."""
        if self.their_state is h11.MUST_CLOSE:
            return h11.NEED_DATA
        return super().next_event()


class Http1(H11Protocol):
    """A connection without the ways to HTTP/2 in clear text, which would lead requests past a
    proxy's rules."""

    _is_closed = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        limit = self.config.h11_max_incomplete_size
        self.connection = _Reader(h11.SERVER, max_incomplete_event_size=limit)

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

    async def refuse_slow_head(self) -> None:
        """Tell a client that began a request, and did not end its headers, that it is too late."""
        begun = self.stream is None and self.connection.trailing_data[0]
        if begun and self.connection.our_state is h11.IDLE and not self._is_closed:
            self._is_closed = True
            await self._send_error_response(HTTPStatus.REQUEST_TIMEOUT)

    async def _create_stream(self, request: Any) -> None:
        # Or requests that a client sent ahead would be answered, one by one, when it is gone.
        if not self._is_closed:
            await super()._create_stream(request)

    async def _send_error_response(self, status_code: int) -> None:
        headers, body = make_refusal(status_code)
        headers += self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())
