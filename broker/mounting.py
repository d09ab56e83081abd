"""Quart as one adapter of the transports' routes: no policy, only translation."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import quart
from quart import Quart
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from broker.delivery import UNDELIVERED, Delivery
from broker.errors import BrokerError, MessageTooLarge, PluginFailure, Unavailable
from broker.http import Request, Response, Route
from broker.limits import MAX_BATCH_BYTES
from broker.problems import problem, problem_response

if TYPE_CHECKING:
    from broker.assembly import Assembly
    from broker.engine import Broker

PREFIXES = ("", "/v1")

SERVED_WHILE_DRAINING = ("/", "/healthz", "/readyz")
"""A request that comes while the broker drains is not begun, so that none is left half done."""

DRAINING = "the broker is shutting down; try again when it is back"

logger = logging.getLogger("broker.http")

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class _Segment(BaseConverter):
    """One part of a path, whatever is in it; the handler says what is wrong with it."""

    regex = "[^/]*"
    part_isolating = True


def mount(
    assembly: Assembly, *, lifespan: Callable[[], AbstractAsyncContextManager[Any]] | None = None
) -> Quart:
    """Return a Quart application that serves every transport; with `lifespan`, it opens them."""
    app = Quart("broker", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BATCH_BYTES
    app.url_map.merge_slashes = False
    app.url_map.converters["segment"] = _Segment
    adapter = _Adapter(assembly.broker)
    for name, transport in assembly.transports:
        for route in transport.routes():
            adapter.mount(app, name, route)
        blueprint = transport.blueprint()
        if blueprint is not None:
            app.register_blueprint(blueprint)
    app.register_error_handler(HTTPException, adapter.refuse)
    app.register_error_handler(Exception, adapter.fail)
    if lifespan is not None:
        _own_lifespan(app, lifespan)
    app.asgi_app = Delivery(app.asgi_app)  # type: ignore[assignment]  # Quart's documented way
    return app


def _own_lifespan(app: Quart, lifespan: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
    # Quart closes several of these first in, first out; so there is one, with a stack of its own.
    @app.while_serving
    async def serve() -> AsyncGenerator[None]:
        async with lifespan():
            yield


async def _read_body() -> Any:
    body = await quart.request.get_data(as_text=False)
    # Quart reads with asyncio.wait_for, which before Python 3.12 loses a cancellation that comes
    # together with the last byte: a client that sends and goes would be served for nobody.
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    return body


class _Adapter:
    """Turns Quart's request into ours, and our response into Quart's."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._run = secrets.token_hex(6)
        self._count = itertools.count(1)

    def mount(self, app: Quart, plugin: str, route: Route) -> None:
        """Add a route of ours at every prefix."""
        view = self._view(route)
        for prefix in PREFIXES:
            path = (prefix + route.path).rstrip("/") or "/"
            app.add_url_rule(
                re.sub(r"{(\w+)}", r"<segment:\1>", path),
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
        if isinstance(error, RequestEntityTooLarge):
            too_large = MessageTooLarge(f"the body exceeds {MAX_BATCH_BYTES} bytes")
            return self._answer("unmatched", request, problem_response(too_large, request))
        code = (error.name or "error").lower().replace(" ", "-")
        headers: tuple[tuple[str, str], ...] = ()
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            headers = (("allow", ", ".join(sorted(error.valid_methods))),)
        response = problem(
            request,
            status=error.code or 500,
            code=code,
            title=error.name,
            detail=f"{request.method} {request.path}: {error.name.lower()}",
            headers=headers,
        )
        return self._answer("unmatched", request, response)

    async def fail(self, error: Exception) -> quart.Response:
        """Answer what went wrong outside our handlers: in a plugin's blueprint, say."""
        if not quart.has_request_context():
            raise error
        request = self._request({}, b"")
        return self._answer("blueprint", request, self._problem(error, request))

    def _view(self, route: Route) -> Callable[..., Awaitable[quart.Response]]:
        name = f"{route.method} {route.path}"

        async def view(**params: str) -> quart.Response:
            if self._broker.draining and route.path not in SERVED_WHILE_DRAINING:
                request = self._request(params, b"")
                return self._answer(name, request, problem_response(Unavailable(DRAINING), request))
            if quart.request.method == "HEAD" and route.hot:
                raise MethodNotAllowed([route.method])  # to look at its headers is not to lease
            request = self._request(params, await _read_body())
            try:
                response = await route.handler(request)
            except Exception as error:  # noqa: BLE001  # every failure is that request's answer
                response = self._problem(error, request)
            return self._answer(name, request, response)

        return view

    def _request(self, params: dict[str, str], body: Any) -> Request:
        source = quart.request
        request_id = source.headers.get("X-Request-Id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = f"{self._run}-{next(self._count):x}"
        return Request(
            method=source.method,
            path=source.path,
            params=params,
            query=_query(source.query_string),
            headers={name.lower(): value for name, value in source.headers.items()},
            body=body,
            peer=source.remote_addr or "",
            request_id=request_id,
        )

    def _problem(self, error: Exception, request: Request) -> Response:
        if isinstance(error, PluginFailure):
            logger.error("%s in request %s", error.problem, request.request_id, exc_info=error)
            return problem_response(error, request)
        if isinstance(error, BrokerError):
            return problem_response(error, request)
        logger.error("request %s failed", request.request_id, exc_info=error)
        self._broker.served.last_error = (type(error).__name__, self._broker.clock.now())
        detail = f"something went wrong; the log tells more about request {request.request_id}"
        return problem(request, status=500, code="internal", title="Internal error", detail=detail)

    def _answer(self, name: str, request: Request, response: Response) -> quart.Response:
        self._broker.served.requests[name, response.status] += 1
        if response.undelivered is not None:
            scope: MutableMapping[str, Any] = quart.request.scope  # type: ignore[assignment]  # ASGI lets us add keys
            scope[UNDELIVERED] = response.undelivered
        answer = quart.Response(response.body, response.status)
        answer.headers.clear()
        for header, value in response.headers:
            answer.headers.add(header, value)
        if response.status != HTTPStatus.NO_CONTENT:
            answer.headers["content-length"] = str(len(response.body))
        answer.headers["x-request-id"] = request.request_id
        if self._broker.draining:
            answer.headers["connection"] = "close"
        return answer


def _query(text: bytes) -> dict[str, list[str]]:
    # Werkzeug would keep what is not UTF-8 as it stands, `%ff`, and nobody could tell.
    escaped = text.decode(errors="surrogateescape")
    return parse_qs(escaped, keep_blank_values=True, errors="surrogateescape")
