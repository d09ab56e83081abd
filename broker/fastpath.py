"""The short way of the hot routes: plain ASGI in front of the framework, the same handlers.

What is not certainly a request to a hot route goes to the framework, whose answer stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from http import HTTPStatus
from typing import Any

from broker.delivery import ASGIApp, Receive, Scope, Send
from broker.http import Request, Response, Route
from broker.limits import MAX_BATCH_BYTES
from broker.translation import (
    ANSWER_SECONDS,
    BODY_SECONDS,
    Headers,
    Translator,
    name_of,
    paths_of,
    remember_undelivered,
)

WATCH_AFTER_SECONDS = 0.1
"""How long work goes on before anybody looks whether its client is still there.

To look takes a task, a good part of what a request costs here, and nearly all are done before.
An answer that gives something away is not sent unlooked.
"""


class Fastpath:
    """An ASGI layer that serves some routes itself and leaves all else to the app behind it.

    No other route of the app may match a request that one of these matches.
    """

    def __init__(self, app: ASGIApp, translator: Translator, routes: Iterable[Route]) -> None:
        self._app = app
        self._translator = translator
        self._methods: dict[str, _Step] = {}
        for route in routes:
            for path in paths_of(route):
                self._methods.setdefault(route.method, _Step()).add(path, route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        found = self._find(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        end, params = found
        body, refusal = b"", None
        try:
            if self._translator.refuses(end.route):
                refusal = HTTPStatus.SERVICE_UNAVAILABLE
            else:
                body = await _read_body(scope, receive)
        except _GoneError:
            return
        except _RefusedError as error:
            refusal = error.status
        request = self._translator.request(scope, path=scope["path"], params=params, body=body)
        client = _Client(receive, send)
        await client.serve(self._answer(client, scope, end, request, refusal))

    def _find(self, scope: Scope) -> tuple[_End, dict[str, str]] | None:
        if scope["type"] != "http" or scope.get("root_path"):
            return None
        step = self._methods.get(scope["method"])
        values = []
        for part in scope["path"].split("/"):
            if step is None:
                return None
            fixed = step.fixed.get(part)
            if fixed is None:
                values.append(part)
                step = step.variable
            else:
                step = fixed
        if step is None or step.end is None:
            return None
        return step.end, dict(zip(step.end.params, values, strict=True))

    async def _answer(
        self,
        client: _Client,
        scope: Scope,
        end: _End,
        request: Request,
        refusal: HTTPStatus | None,
    ) -> None:
        if refusal is None:
            response = await self._translator.answer(end.route, end.name, request)
        elif refusal is HTTPStatus.SERVICE_UNAVAILABLE:
            response = self._translator.refuse_draining(end.name, request)
        else:
            response = self._translator.refuse(refusal, refusal.phrase, request)
        remember_undelivered(scope, response)
        await client.send(response, self._translator.headers(response, request))


class _End:
    """Where a path leads to."""

    def __init__(self, route: Route, params: tuple[str, ...]) -> None:
        self.route = route
        self.name = name_of(route)
        self.params = params


class _Step:
    """What may follow a part of a path."""

    def __init__(self) -> None:
        self.fixed: dict[str, _Step] = {}
        self.variable: _Step | None = None
        self.end: _End | None = None

    def add(self, path: str, route: Route) -> None:
        step, params = self, []
        for part in path.split("/"):
            if part.startswith("{"):
                params.append(part[1:-1])
                step.variable = step.variable or _Step()
                step = step.variable
            else:
                step = step.fixed.setdefault(part, _Step())
        step.end = step.end or _End(route, tuple(params))


class _GoneError(Exception):
    """The client went away before its request was whole."""


class _RefusedError(Exception):
    """The body is too large, or too slow."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    if _announced_length(scope) > MAX_BATCH_BYTES:
        raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _gather_body(receive)
    except TimeoutError as error:
        raise _RefusedError(HTTPStatus.REQUEST_TIMEOUT) from error


async def _gather_body(receive: Receive) -> bytes:
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > MAX_BATCH_BYTES:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if not message.get("more_body"):
            return b"".join(parts)


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

    def __init__(self, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None, "ASGI servers run apps in tasks"
        self._task = task
        self._receive = receive
        self._send = send
        self._interrupts = 0
        self._watcher: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(WATCH_AFTER_SECONDS, self._watch)

    async def serve(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work as long as the client is there."""
        try:
            await work
        except asyncio.CancelledError:
            # A handler that cancels itself ends without an answer, as one that was interrupted.
            if self._task.cancelling() > self._interrupts:
                raise
        finally:
            self._timer.cancel()
            if self._watcher is not None:
                self._watcher.cancel()
                await asyncio.wait((self._watcher,))
            for _ in range(self._interrupts):
                self._task.uncancel()

    async def send(self, response: Response, headers: Headers) -> None:
        """Send a response, unless it gives something away to a client who has gone already."""
        if response.undelivered is not None:
            self._watch()
            await asyncio.sleep(0)
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        late = self._loop.call_later(ANSWER_SECONDS, self._interrupt)
        try:
            await self._send(
                {"type": "http.response.start", "status": response.status, "headers": encoded}
            )
            await self._send({"type": "http.response.body", "body": response.body})
        except TimeoutError:
            return  # the network's own; nobody is there
        finally:
            late.cancel()

    def _watch(self) -> None:
        if self._watcher is None:
            self._watcher = asyncio.ensure_future(self._interrupt_when_gone())

    async def _interrupt_when_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._interrupt()

    def _interrupt(self) -> None:
        self._interrupts += 1
        self._task.cancel()
