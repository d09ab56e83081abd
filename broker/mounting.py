"""Quart as one adapter of the transports' routes: no policy, only translation."""

from __future__ import annotations

import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import quart
from quart import Quart
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed
from werkzeug.routing import BaseConverter, Map

from broker.access import GONE, untraced
from broker.blueprints import NOTED, REQUEST, Blueprints, Connection
from broker.bodies import PROGRESS_SECONDS
from broker.delivery import ASGIApp, Delivery
from broker.errors import PluginError
from broker.http import Request, Response, Route
from broker.lifecycle import blamed
from broker.logs.lines import Tell
from broker.proxies import BehindProxies
from broker.reception import BODY, Reception
from broker.sockets import FAILURE, Socket
from broker.translation import (
    ANSWER_SECONDS,
    Translator,
    paths_of,
    remember_undelivered,
)

if TYPE_CHECKING:
    from broker.assembly import Assembly
    from broker.extend import Transport
    from broker.stream import Stream


VARIABLE = "{}"
"""What a part of a path is, whatever its name, that is variable."""

MAX_OTHER_BYTES = 1024 * 1024
"""How much is read of a body that is sent to none of the routes: to a plugin's blueprint, say."""


class _Segment(BaseConverter):
    """One part of a path, whatever is in it; the handler says what is wrong with it. But not what
    another route has there by name: that one's other methods are 405."""

    part_isolating = True

    def __init__(self, url_map: Map, *others: str) -> None:
        super().__init__(url_map)
        self.regex = "".join(rf"(?!{re.escape(other)}\Z)" for other in others) + "[^/]*"


def mount(
    assembly: Assembly,
    *,
    lifespan: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
    fastpath: bool = True,
    access: Tell | None = None,
) -> Quart:
    """Return a Quart application that serves every transport; with `lifespan`, it opens them.

    Without `fastpath`, Quart itself serves the hot routes too. With `access`, that is told of each
    answer.
    """
    app = Quart("broker", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_OTHER_BYTES
    app.config["BODY_TIMEOUT"] = PROGRESS_SECONDS
    app.config["RESPONSE_TIMEOUT"] = ANSWER_SECONDS
    app.url_map.merge_slashes = False
    app.url_map.converters["segment"] = _Segment
    transports = assembly.transports
    routed = [(name, route) for name, one in transports for route in _routes(name, one)]
    assembly.broker.routes = tuple(route for _, route in routed)
    owners = {route: name for name, route in routed}
    tracing = assembly.tracing
    note = None if tracing is None else tracing.note
    trace_id = untraced if tracing is None else tracing.trace_id
    translator = Translator(assembly.broker, owners, tell=access, note=note, trace_id=trace_id)
    blueprints = Blueprints(app, assembly.broker.failures)
    adapter = _Adapter(translator, blueprints)
    # Quart asks for these as it would for its own classes.
    socket: Any = partial(Socket, translator=translator, blueprints=blueprints)
    app.asgi_websocket_class = socket
    connection: Any = partial(
        Connection, translator=translator, blueprints=blueprints, routes=adapter.routes
    )
    app.asgi_http_class = connection
    for name, route in routed:
        adapter.mount(app, name, route, beside=assembly.broker.routes)
    for name, transport in transports:
        _register(blueprints, name, transport)
    app.register_error_handler(HTTPException, adapter.refuse)
    app.register_error_handler(Exception, adapter.fail)
    for rule in app.url_map.iter_rules():
        if rule.websocket:
            rule.methods = None  # which an answer 405 would tell of, as if HTTP had them there
    if lifespan is not None:
        _own_lifespan(app, lifespan)
    routes = assembly.broker.routes
    hot = _hot_routes(app, routes) if fastpath else ()
    reception = Reception(Delivery(app.asgi_app), translator, routes, hot=hot)
    served: ASGIApp = reception
    if tracing is not None:
        served = tracing.app(served, reception.route_of)
    if assembly.trusted_proxies:
        served = BehindProxies(served, assembly.trusted_proxies)
    app.asgi_app = served  # type: ignore[assignment]  # both are ASGI; it is Quart's documented way
    return app


def _routes(name: str, transport: Transport) -> list[Route]:
    step = f"{type(transport).__name__}.routes"
    with blamed(name, step):
        routes = list(transport.routes())
    for route in routes:
        if not isinstance(route, Route):
            raise PluginError(name, f"{step} returned {type(route).__name__} among its routes")
    return routes


def _register(blueprints: Blueprints, name: str, transport: Transport) -> None:
    with blamed(name, f"{type(transport).__name__}.blueprint"):
        blueprint = transport.blueprint()
        if blueprint is not None:
            blueprints.register(name, blueprint)


def _own_lifespan(app: Quart, lifespan: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
    # Quart closes several of these first in, first out; so there is one, with a stack of its own.
    @app.while_serving
    async def serve() -> AsyncGenerator[None]:
        async with lifespan():
            yield


def _hot_routes(app: Quart, routes: Sequence[Route]) -> Iterator[Route]:
    """Yield the hot routes whose requests nothing else in Quart has a say in, and whose paths are
    those of no other route by name, whose other methods are 405."""
    if any(functions.get(None) for functions in _functions_for_every_request(app)):
        return
    others = [path for route in routes for path in paths_of(route)]
    for route in routes:
        if route.hot and all(
            _is_alone(app, route.method, path) and _rule(path) == _rule(path, others)
            for path in paths_of(route)
        ):
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
        if ":" in their_part and "<segment" not in their_part:
            return True  # a `<path:…>`, say, goes on for any number of parts
        if our_part != their_part and "<" not in our_part + their_part:
            return False
    return len(our_parts) == len(their_parts)


def _rule(path: str, others: Iterable[str] = ()) -> str:
    parts = path.split("/")
    for index, part in enumerate(path.split("/")):
        if part.startswith("{"):
            names = sorted(set(_names_instead(path, index, others)))
            arguments = f"({', '.join(map(repr, names))})" if names else ""
            parts[index] = f"<segment{arguments}:{part[1:-1]}>"
    return "/".join(parts)


def _names_instead(path: str, index: int, others: Iterable[str]) -> Iterator[str]:
    """Yield what other paths have at the place of a variable part, being the same otherwise."""
    ours = [_form(part) for part in path.split("/")]
    for other in others:
        theirs = [_form(part) for part in other.split("/")]
        if len(theirs) == len(ours) and (name := theirs[index]) != VARIABLE:
            theirs[index] = VARIABLE
            if theirs == ours:
                yield name


def _form(part: str) -> str:
    return VARIABLE if part.startswith("{") else part


class _Adapter:
    """Turns Quart's request into ours, and our response into Quart's."""

    def __init__(self, translator: Translator, blueprints: Blueprints) -> None:
        self._translator = translator
        self._blueprints = blueprints
        self.routes: dict[str, Route] = {}
        """What was mounted, by the endpoint that Quart knows it as."""

    def mount(self, app: Quart, plugin: str, route: Route, *, beside: Iterable[Route]) -> None:
        """Add a route of ours at every prefix; `beside` are all."""
        view = self._view(route)
        others = [path for other in beside for path in paths_of(other)]
        for path in paths_of(route):
            endpoint = f"{plugin} {route.method} {path}"
            self.routes[endpoint] = route
            app.add_url_rule(
                _rule(path, others),
                endpoint=endpoint,
                view_func=view,
                methods=[route.method],
                provide_automatic_options=False,
            )

    async def refuse(self, error: HTTPException) -> quart.Response:
        """Answer what the framework refused: no such route, wrong method, too large, too slow."""
        if isinstance(error, InternalServerError) and error.original_exception is not None:
            return await self.fail(error.original_exception)  # of what it calls when all is done
        if not quart.has_request_context():  # a websocket: no route of ours is one
            return quart.Response(error.name, error.code, content_type="text/plain")
        request = self._keep_request()
        headers: tuple[tuple[str, str], ...] = ()
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            headers = (("allow", ", ".join(sorted(error.valid_methods))),)
        title = error.name or "error"
        response = self._translator.refuse(error.code or 500, title, request, headers)
        return self._send(request, response)

    async def fail(self, error: BaseException) -> quart.Response:
        """Answer what went wrong outside our handlers: in a plugin's blueprint, say."""
        if not quart.has_request_context():
            socket: Any = quart.websocket.scope
            socket[FAILURE] = error
            return quart.Response()  # which is not sent
        request = self._keep_request()
        plugin = self._blueprints.owner(quart.request.blueprint)
        return self._send(request, self._translator.failure(error, request, plugin))

    def _view(self, route: Route) -> Callable[..., Awaitable[quart.Response]]:
        async def view(**params: str) -> quart.Response:
            scope: Any = quart.request.scope
            method = scope["method"]
            # To look at the headers of a hot route is not to lease. And `post`, which Quart takes
            # for POST, is another word (RFC 9110, section 9.1), of which no body was read.
            if method != route.method and (method != "HEAD" or route.hot):
                raise MethodNotAllowed([route.method])
            request = self._request(params, scope[BODY])
            scope[NOTED] = GONE
            response = await self._translator.answer(route, request, scope)
            scope[NOTED] = response.status
            remember_undelivered(scope, response)
            return self._send(request, response)

        return view

    def _keep_request(self) -> Request:
        """Return the request at hand; who takes note of it has to call it the same."""
        scope: Any = quart.request.scope
        scope[REQUEST] = request = self._request({}, b"")
        return request

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
