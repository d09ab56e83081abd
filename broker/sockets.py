"""The WebSockets of plugins' blueprints: who may open one, and bounds for what Quart leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any

from quart.asgi import ASGIWebsocketConnection

from broker.access import GONE, Place
from broker.delivery import PIECE_SECONDS, Receive, Send
from broker.handshake import HANDSHAKE, MESSAGE_BOUND, Handshake, MessageBound
from broker.http import Request
from broker.isolation import is_from_outside
from broker.origins import check_origin

if TYPE_CHECKING:
    from quart import Quart

    from broker.blueprints import Blueprints
    from broker.translation import Translator

TOO_LARGE = 1009
FAILED = 1011
"""Close codes (RFC 6455, section 7.4.1)."""

FAILURE = "broker.failure"
"""The key in an ASGI scope under which is left what a WebSocket's handler raised."""

HANDSHAKES: Place = ("*", "WEBSOCKET")
"""Where they belong, whatever path they ask for."""


class Socket(ASGIWebsocketConnection):
    """A WebSocket, from its handshake to its end.

    Of what its client sends, one message waits for the handler; the next is received when that was
    taken. What the client does not take within 15 s ends the socket, as it does a stream. Whatever
    ends it, its handler is cancelled and waited for.
    """

    def __init__(
        self, app: Quart, scope: Any, *, translator: Translator, blueprints: Blueprints
    ) -> None:
        super().__init__(app, scope)
        self.queue = asyncio.Queue(1)
        self._translator = translator
        self._blueprints = blueprints
        self._plugin: str | None = None
        self._begun = perf_counter()
        self._is_noted = False
        self._bound: MessageBound = scope.get(MESSAGE_BOUND) or MessageBound()
        self._receiving: asyncio.Task[None] | None = None
        self._is_too_large = False

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Serve the socket."""
        scope: Any = self.scope
        request = self._translator.request(
            {**scope, "method": "GET"}, path=scope["path"], params={}, body=b""
        )
        scope[HANDSHAKE] = Handshake(request, self._bound)
        try:
            await self._answer(request, receive, send)
        finally:
            self._note(GONE, request)  # if nothing else became of it

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        try:
            self._translator.check_draining()
            check_origin(request)
            error = await self._serve(request, receive, send)
        except Exception as refused:  # noqa: BLE001  # isolates one socket from all others
            error = refused
        if error is not None:
            await self._fail(error, request, send)

    async def _serve(self, request: Request, receive: Receive, send: Send) -> BaseException | None:
        """Return what the handler raised, if it did."""
        handling = asyncio.ensure_future(self._handle(request, send))
        self._receiving = asyncio.ensure_future(self._receive(receive, handling))
        try:
            await asyncio.wait((handling,))
        finally:
            await _cancel((handling, self._receiving))
        if self._is_too_large:
            await _close(send, TOO_LARGE, "the message is too large")
            return None
        return None if handling.cancelled() else handling.result()

    async def _handle(self, request: Request, send: Send) -> BaseException | None:
        scope: Any = self.scope
        handler = asyncio.current_task()
        assert handler is not None, "handlers run in tasks"

        async def bounded(message: Any) -> None:
            if FAILURE in scope:
                return  # of that, Quart would tell a client nothing
            if message["type"] == "websocket.accept":
                self._note(HTTPStatus.SWITCHING_PROTOCOLS, request)
            elif message["type"] == "websocket.http.response.start":
                self._note(message["status"], request)
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            elif message["type"] == "websocket.close" and self._receiving is not None:
                self._note(HTTPStatus.FORBIDDEN, request)  # as servers answer who was not accepted
                await _cancel((self._receiving,))  # Granian sends none while one waits to receive
            try:
                async with asyncio.timeout(PIECE_SECONDS):
                    await send(message)
            except TimeoutError:
                handler.cancel()
                await asyncio.Event().wait()  # for that

        websocket = self._create_websocket_from_scope(bounded)
        try:
            await self.handle_websocket(websocket, bounded)
        except BaseException as error:
            if is_from_outside(error):
                raise
            scope[FAILURE] = error
        self._plugin = self._blueprints.owner(websocket.blueprint)
        failure: BaseException | None = scope.get(FAILURE)
        return failure

    def _note(self, status: int, request: Request) -> None:
        """Take note of how the handshake ended; what comes after that is none of it."""
        if self._is_noted:
            return
        self._is_noted = True
        seconds = perf_counter() - self._begun
        self._translator.access.note(HANDSHAKES, status, request, seconds)

    async def _receive(self, receive: Receive, handling: asyncio.Future[Any]) -> None:
        while (event := await receive())["type"] != "websocket.disconnect":
            if event["type"] == "websocket.receive":
                text = event.get("text")
                message = event["bytes"] if text is None else text
                if len(message) > self._bound.size:
                    self._is_too_large = True
                    break
                await self.queue.put(message)
        handling.cancel()

    async def _fail(self, error: BaseException, request: Request, send: Send) -> None:
        response = self._translator.failure(error, request, self._plugin)
        if self._accepted:
            await _close(send, FAILED, "")
            return
        self._note(response.status, request)
        headers = self._translator.headers(response, request, closes=True)
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        kind = "websocket.http.response"
        await send({"type": f"{kind}.start", "status": response.status, "headers": encoded})
        await send({"type": f"{kind}.body", "body": response.body, "more_body": False})


async def _cancel(tasks: Iterable[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def _close(send: Send, code: int, reason: str) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(PIECE_SECONDS):
            await send({"type": "websocket.close", "code": code, "reason": reason})
