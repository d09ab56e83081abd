"""The short way of the hot routes: plain ASGI in front of the framework, the same handlers.

What is not certainly a request to a hot route goes to the framework, whose answer stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from http import HTTPStatus
from typing import Any

from broker.deadlines import Deadlines
from broker.delivery import ASGIApp, Receive, Scope, Send
from broker.http import Response, Route
from broker.limits import MAX_BATCH_BYTES
from broker.routing import Match, RouteTable
from broker.translation import ANSWER_SECONDS, BODY_SECONDS, Headers, Translator


class Fastpath:
    """An ASGI layer that serves some routes itself and leaves all else to the app behind it.

    No other route of the app may match a request that one of these matches.
    """

    def __init__(self, app: ASGIApp, translator: Translator, routes: Iterable[Route]) -> None:
        self._app = app
        self._translator = translator
        self._routes = RouteTable(routes)
        self._patience = _Patience()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        match = None
        if scope["type"] == "http" and not scope.get("root_path"):
            match = self._routes.find(scope["method"], scope["path"])
        if match is None:
            await self._app(scope, receive, send)
            return
        client = _Client(receive, send, self._patience)
        await client.serve(self._serve(client, scope, match))

    async def _serve(self, client: _Client, scope: Scope, match: Match) -> None:
        body, refusal = b"", None
        if self._translator.refuses(match.route):
            refusal = HTTPStatus.SERVICE_UNAVAILABLE
        else:
            try:
                body = await client.read_body(_announced_length(scope))
            except _GoneError:
                return
            except _RefusedError as error:
                refusal = error.status
        request = self._translator.request(
            scope, path=scope["path"], params=match.params, body=body
        )
        if refusal is None:
            if match.route.gives:
                client.watch()
            response = await self._translator.answer(match.route, match.name, request)
        elif refusal is HTTPStatus.SERVICE_UNAVAILABLE:
            response = self._translator.refuse_draining(match.name, request)
        else:
            response = self._translator.refuse(refusal, refusal.phrase, request)
        await client.take(response, self._translator.headers(response, request))


class _GoneError(Exception):
    """The client went away before its request was whole."""


class _RefusedError(Exception):
    """The body is too large, or too slow."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


def _announced_length(scope: Scope) -> int:
    length = None
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return 0  # which RFC 9112, section 6.3, puts above any length
        if name == b"content-length" and length is None:
            length = int(value) if value.isdigit() else 0
    return length or 0


class _Client:
    """Who waits for an answer; the work for one who does not is interrupted."""

    def __init__(self, receive: Receive, send: Send, patience: _Patience) -> None:
        task = asyncio.current_task()
        assert task is not None, "ASGI servers run apps in tasks"
        self._task = task
        self._receive = receive
        self._send = send
        self._patience = patience
        self._interrupts = 0
        self._watcher: asyncio.Task[None] | None = None

    async def serve(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work as long as the client is there."""
        try:
            await work
        except asyncio.CancelledError:
            # A handler that cancels itself ends without an answer, as one that was interrupted.
            if self._task.cancelling() > self._interrupts:
                raise
        finally:
            if self._watcher is not None:
                self._watcher.cancel()
                await asyncio.wait((self._watcher,))
            self._forget_interrupts()

    async def read_body(self, announced: int) -> bytes:
        """Return the body of the request; raises _GoneError and _RefusedError."""
        if announced > MAX_BATCH_BYTES:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self._patience.body.add(self)
        try:
            return await self._gather_body()
        except asyncio.CancelledError as error:
            if self._task.cancelling() > self._interrupts:
                raise
            self._forget_interrupts()
            raise _RefusedError(HTTPStatus.REQUEST_TIMEOUT) from error
        finally:
            self._patience.body.remove(self)

    async def _gather_body(self) -> bytes:
        parts = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _GoneError
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > MAX_BATCH_BYTES:
                raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            if not message.get("more_body"):
                return b"".join(parts)

    async def take(self, response: Response, headers: Headers) -> None:
        """Send a response; undo what it gave away if the client did not get it."""
        if response.undelivered is None:
            await self._try_send(response, headers)
            return
        is_sent = False
        try:
            # To one who has gone already, nothing is given away.
            self.watch()
            await asyncio.sleep(0)
            is_sent = await self._try_send(response, headers)
        finally:
            if not is_sent:
                await response.undelivered()

    async def _try_send(self, response: Response, headers: Headers) -> bool:
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        self._patience.answer.add(self)
        try:
            await self._send(
                {"type": "http.response.start", "status": response.status, "headers": encoded}
            )
            await self._send({"type": "http.response.body", "body": response.body})
        except TimeoutError:
            return False  # the network's own; nobody is there
        else:
            return True
        finally:
            self._patience.answer.remove(self)

    def watch(self) -> None:
        """Interrupt the work as soon as the client goes."""
        if self._watcher is None:
            self._watcher = asyncio.ensure_future(self._interrupt_when_gone())

    def interrupt(self) -> None:
        """Cancel the work, which is no failure of the server's."""
        self._interrupts += 1
        self._task.cancel()

    async def _interrupt_when_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.interrupt()

    def _forget_interrupts(self) -> None:
        for _ in range(self._interrupts):
            self._task.uncancel()
        self._interrupts = 0


class _Patience:
    """How long clients are waited for."""

    def __init__(self) -> None:
        self.body = Deadlines(BODY_SECONDS, _Client.interrupt)
        self.answer = Deadlines(ANSWER_SECONDS, _Client.interrupt)
