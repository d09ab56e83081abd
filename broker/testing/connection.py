"""A client's connection to an ASGI application, without a network."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from broker.delivery import ASGIApp, Scope

ANSWER_SECONDS = 60
"""How long an application may take to say something before a test fails for it."""

LEAVE_SECONDS = 15
"""How long an application may be at work for a client that is gone."""

ABOUT = {"asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "root_path": ""}


def scope_of(kind: str, target: str, headers: Mapping[str, str], *, peer: str) -> dict[str, Any]:
    """Return what a server says of a request for a path and its query, but for the method."""
    path, _, query = target.partition("?")
    fields = {"host": "broker.test", **{name.lower(): value for name, value in headers.items()}}
    return {
        **ABOUT,
        "type": kind,
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields.items()],
        "client": (peer, 50_000),
        "server": ("broker.test", 80),
        "extensions": {},
    }


async def turns() -> None:
    """Let everybody go on who can without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


class Connection(ABC):
    """Carries one request, or one WebSocket, between its client and the application.

    What the application sends waits until the client takes it, as a socket's buffer would, and
    before that the application cannot send more.
    """

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self._about = f"{scope.get('method', scope['type'])} {scope['path']}"
        self._outgoing: asyncio.Queue[Any] = asyncio.Queue(1)
        self._gone = asyncio.Event()
        self._serving = asyncio.ensure_future(app(scope, self._receive, self._send))

    @property
    def is_served(self) -> bool:
        """Whether the application is still at work for it."""
        return not self._serving.done()

    def hang_up(self) -> None:
        """Go away; the application hears of it, and is not waited for."""
        self._gone.set()

    async def leave(self) -> None:
        """Go away, and return when the application is done; raises what it raised."""
        self.hang_up()
        # What the application tries to send meanwhile comes to nothing, but it hears first why.
        await turns()
        while not self._outgoing.empty():
            self._outgoing.get_nowait()
        await asyncio.wait((self._serving,), timeout=LEAVE_SECONDS)
        if not self._serving.done():
            self._serving.cancel()
            problem = f"{self._about}: still at work {LEAVE_SECONDS} s after its client left"
            raise AssertionError(problem)
        if not self._serving.cancelled():
            self._serving.result()

    @abstractmethod
    async def _receive(self) -> Any:
        """Give the application what the client sends."""

    async def _send(self, event: Any) -> None:
        if not self._gone.is_set():
            await self._outgoing.put(event)

    async def _next(self) -> Any:
        """Take what the application sends next; None if it ended instead."""
        taking = asyncio.ensure_future(self._outgoing.get())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.wait((taking, self._serving), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError as error:
            problem = f"{self._about}: the broker said nothing for {ANSWER_SECONDS} s"
            raise AssertionError(problem) from error
        finally:
            if not taking.done():
                taking.cancel()
        if taking.done() and not taking.cancelled():
            return taking.result()
        self._serving.result()  # raises what went wrong
        return None
