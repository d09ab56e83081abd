"""Quart as one adapter of the transports' routes: no policy, only translation."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import quart
from quart import Quart
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from broker.bodies import PROGRESS_SECONDS
from broker.delivery import ASGIApp, Delivery
from broker.http import Request, Response, Route
from broker.proxies import BehindProxies
from broker.reception import BODY, Reception
from broker.sockets import FAILURE, Socket
from broker.translation import (
    ANSWER_SECONDS,
    Translator,
    name_of,
    paths_of,
    remember_undelivered,
)

if TYPE_CHECKING:
    from broker.assembly import Assembly
    from broker.stream import Stream


MAX_OTHER_BYTES = 1024 * 1024
"""How much is read of a body that is sent to none of the routes: to a plugin's blueprint, say."""


class _Segment(BaseConverter):
    """One part of a path, whatever is in it; the handler says what is wrong with it."""

    regex = "[^/]*"
    part_isolating = True


def mount(
    assembly: Assembly,
    *,
    lifespan: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
    fastpath: bool = True,
) -> Quart:
    """Return a Quart application that serves every transport; with `lifespan`, it opens them.

    Without `fastpath`, Quart itself serves the hot routes too.
    """
    app = Quart("broker", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_OTHER_BYTES
    app.config["BODY_TIMEOUT"] = PROGRESS_SECONDS
    app.config["RESPONSE_TIMEOUT"] = ANSWER_SECONDS
    app.url_map.merge_slashes = False
    app.url_map.converters["segment"] = _Segment
    translator = Translator(assembly.broker)
    socket: Any = partial(Socket, translator=translator)
    app.asgi_websocket_class = socket  # Quart asks it for one as it would its class
    adapter = _Adapter(translator)
    for name, transport in assembly.transports:
        for route in transport.routes():
            adapter.mount(app, name, route)
        blueprint = transport.blueprint()
        if blueprint is not None:
            app.register_blueprint(blueprint)
    app.register_error_handler(HTTPException, adapter.refuse)
    app.register_error_handler(Exception, adapter.fail)
    for rule in app.url_map.iter_rules():
        if rule.websocket:
            rule.methods = None  # which an answer 405 would tell of, as if HTTP had them there
    if lifespan is not None:
        _own_lifespan(app, lifespan)
    routes = [route for _, transport in assembly.transports for route in transport.routes()]
    hot = _hot_routes(app, routes) if fastpath else ()
    served: ASGIApp = Reception(Delivery(app.asgi_app), translator, routes, hot=hot)
    if assembly.trusted_proxies:
        served = BehindProxies(served, assembly.trusted_proxies)
    app.asgi_app = served  # type: ignore[assignment]  # both are ASGI; it is Quart's documented way
    return app


def _own_lifespan(app: Quart, lifespan: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
    # Quart closes several of these first in, first out; so there is one, with a stack of its own.
    @app.while_serving
    async def serve() -> AsyncGenerator[None]:
        async with lifespan():
            yield


def _hot_routes(app: Quart, routes: Iterable[Route]) -> Iterator[Route]:
    """Yield the hot routes whose requests nothing else in Quart has a say in."""
    if any(functions.get(None) for functions in _functions_for_every_request(app)):
        return
    for route in routes:
        if route.hot and all(_is_alone(app, route.method, path) for path in paths_of(route)):
            yield route


def _functions_for_every_request(app: Quart) -> tuple[dict[Any, Any], ...]:
    return (
        app.url_value_preprocessors,
        app.before_request_funcs,
        app.after_request_funcs,
        app.teardown_request_funcs,
    )


def _is_alone(app: Quart, method: str, path: str) -> bool:
    rivals = [
        rule
        for rule in app.url_map.iter_rules()
        if not rule.websocket
        and (rule.methods is None or method in rule.methods)
        and _may_meet(_rule(path), rule.rule)
    ]
    return len(rivals) == 1  # the route itself


def _may_meet(ours: str, theirs: str) -> bool:
    our_parts, their_parts = ours.split("/"), theirs.split("/")
    for our_part, their_part in zip(our_parts, their_parts, strict=False):
        if ":" in their_part and "<segment:" not in their_part:
            return True  # a `<path:…>`, say, goes on for any number of parts
        if our_part != their_part and "<" not in our_part + their_part:
            return False
    return len(our_parts) == len(their_parts)


def _rule(path: str) -> str:
    return re.sub(r"{(\w+)}", r"<segment:\1>", path)


class _Adapter:
    """Turns Quart's request into ours, and our response into Quart's."""

    def __init__(self, translator: Translator) -> None:
        self._translator = translator

    def mount(self, app: Quart, plugin: str, route: Route) -> None:
        """Add a route of ours at every prefix."""
        view = self._view(route)
        for path in paths_of(route):
            app.add_url_rule(
                _rule(path),
                endpoint=f"{plugin} {route.method} {path}",
                view_func=view,
                methods=[route.method],
                provide_automatic_options=False,
            )

    async def refuse(self, error: HTTPException) -> quart.Response:
        """Answer what the framework refused: no such route, wrong method, too large, too slow."""
        if not quart.has_request_context():  # a websocket: no route of ours is one
            return quart.Response(error.name, error.code, content_type="text/plain")
        request = self._request({}, b"")
        headers: tuple[tuple[str, str], ...] = ()
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            headers = (("allow", ", ".join(sorted(error.valid_methods))),)
        title = error.name or "error"
        response = self._translator.refuse(error.code or 500, title, request, headers)
        return self._send(request, response)

    async def fail(self, error: Exception) -> quart.Response:
        """Answer what went wrong outside our handlers: in a plugin's blueprint, say."""
        if not quart.has_request_context():
            socket: Any = quart.websocket.scope
            socket[FAILURE] = error
            return quart.Response()  # which is not sent
        request = self._request({}, b"")
        response = self._translator.failure(error, request)
        return self._send(request, self._translator.count("blueprint", response))

    def _view(self, route: Route) -> Callable[..., Awaitable[quart.Response]]:
        name = name_of(route)

        async def view(**params: str) -> quart.Response:
            if quart.request.method == "HEAD" and route.hot:
                raise MethodNotAllowed([route.method])  # to look at its headers is not to lease
            scope: Any = quart.request.scope
            request = self._request(params, scope[BODY])
            response = await self._translator.answer(route, name, request, scope)
            remember_undelivered(scope, response)
            return self._send(request, response)

        return view

    def _request(self, params: dict[str, str], body: bytes) -> Request:
        source = quart.request
        scope: Any = source.scope
        return self._translator.request(scope, path=source.path, params=params, body=body)

    def _send(self, request: Request, response: Response) -> quart.Response:
        if response.stream is None or request.method == "HEAD":
            answer = quart.Response(response.body, response.status)
        else:
            answer = quart.Response(self._pieces(response.stream), response.status)
            answer.timeout = None
        answer.headers.clear()
        for name, value in self._translator.headers(response, request):
            answer.headers.add(name, value)
        return answer

    async def _pieces(self, stream: Stream) -> AsyncIterator[bytes]:
        while piece := await self._translator.next_piece(stream):
            yield piece
