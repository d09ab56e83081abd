"""What stands in front of both adapters: it finds the route of a request and reads its body.

So a body is read in one way, whatever serves its route then, and the framework, which would take
in whatever comes, is given what is known to be within limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from broker.access import GONE, place_of
from broker.bodies import Bodies, Body, GoneError
from broker.client import Client, Patience
from broker.delivery import STREAM, ASGIApp, Receive, Scope, Send
from broker.errors import BrokerError
from broker.fastpath import Fastpath
from broker.http import Request, Route
from broker.routing import Match, RouteTable
from broker.translation import Translator, give_back_memory

BODY = "broker.body"
"""The key in an ASGI scope under which the app finds the body of a request to one of the routes."""


class Reception:
    """An ASGI layer: requests to hot routes it has served on the short way, all others go to the
    app behind it, those to `routes` with their body."""

    def __init__(
        self, app: ASGIApp, translator: Translator, routes: Iterable[Route], *, hot: Iterable[Route]
    ) -> None:
        self._app = app
        self._translator = translator
        self._routes = RouteTable(routes)
        self._fastpath = Fastpath(translator, hot)
        self._bodies = Bodies()
        self._patience = Patience()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        hot = match = None
        if scope["type"] == "http":
            hot = self._fastpath.find(scope)
            match = hot or self._find(scope)
        if match is None:
            await self._app(scope, receive, send)
            return
        client = Client(receive, send, self._patience)
        await client.serve(self._serve(client, scope, match, is_hot=hot is not None))

    def route_of(self, scope: Scope) -> Route | None:
        """Return the route that a request is for, whatever becomes of it."""
        match = self._find(scope)
        return None if match is None else match.route

    def _find(self, scope: Scope) -> Match | None:
        path = _path_of(scope)
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        return None if path is None else self._routes.find(method, path)

    async def _serve(self, client: Client, scope: Scope, match: Match, *, is_hot: bool) -> None:
        begun = perf_counter()
        body = Body(self._bodies, client, match.route.max_body)
        try:
            self._translator.check_open(match.route)
            content = await body.read(
                _announced_length(scope),
                lambda: self._translator.identify(self._request(scope, match)),
            )
        except GoneError:
            self._note(match, GONE, self._request(scope, match), begun)
        except asyncio.CancelledError:
            self._note(match, GONE, self._request(scope, match), begun)
            raise
        except BrokerError as error:
            body.end()  # before others are refused for what this one took
            request = self._request(scope, match)
            response = self._translator.failure(error, request)
            self._note(match, response.status, request, begun)
            # What is left of the body would be taken for the next request.
            headers = self._translator.headers(response, request, closes=True)
            await client.take(response, headers)
        else:
            if is_hot:
                await self._fastpath.serve(client, scope, match, content)
            else:
                scope[BODY] = content
                await self._app(scope, _replay(content, client.receive), client.send)
        finally:
            body.end()
            give_back_memory(scope)
            if STREAM in scope:
                await self._translator.finish(scope[STREAM])

    def _request(self, scope: Scope, match: Match) -> Request:
        path = _path_of(scope) or ""
        return self._translator.request(scope, path=path, params=match.params, body=b"")

    def _note(self, match: Match, status: int, request: Request, begun: float) -> None:
        seconds = perf_counter() - begun
        self._translator.access.note(place_of(match.route), status, request, seconds)


def _path_of(scope: Scope) -> str | None:
    """Return the path as Quart takes it; None for what it makes nothing of."""
    path: str = scope["path"]
    if not path.startswith("/"):
        try:
            path = urlsplit(path).path  # the whole URL, as proxies are asked (RFC 9112, 3.2.2)
        except ValueError:
            return None
    root: str = scope.get("root_path", "")
    if not path.startswith(root):
        return None
    return "/" + path.removeprefix(root).lstrip("/")


def _announced_length(scope: Scope) -> int:
    length = None
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return 0  # which RFC 9112, section 6.3, puts above any length
        if name == b"content-length" and length is None:
            length = int(value) if value.isdigit() else 0
    return length or 0


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body in one piece, then what else comes."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return messages.pop() if messages else await receive()

    return replay
