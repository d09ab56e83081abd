"""Quart as one adapter of the transports' routes: no policy, only translation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import quart
from quart import Quart
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from broker.delivery import Delivery
from broker.http import Request, Response, Route
from broker.limits import MAX_BATCH_BYTES
from broker.translation import (
    ANSWER_SECONDS,
    BODY_SECONDS,
    Translator,
    name_of,
    paths_of,
    remember_undelivered,
)

if TYPE_CHECKING:
    from broker.assembly import Assembly


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
    app.config["BODY_TIMEOUT"] = BODY_SECONDS
    app.config["RESPONSE_TIMEOUT"] = ANSWER_SECONDS
    app.url_map.merge_slashes = False
    app.url_map.converters["segment"] = _Segment
    translator = Translator(assembly.broker)
    adapter = _Adapter(translator)
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


def _rule(path: str) -> str:
    return re.sub(r"{(\w+)}", r"<segment:\1>", path)


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
            raise error
        request = self._request({}, b"")
        response = self._translator.failure(error, request)
        return self._send(request, self._translator.count("blueprint", response))

    def _view(self, route: Route) -> Callable[..., Awaitable[quart.Response]]:
        name = name_of(route)

        async def view(**params: str) -> quart.Response:
            if quart.request.method == "HEAD" and route.hot:
                raise MethodNotAllowed([route.method])  # to look at its headers is not to lease
            body = b"" if self._translator.refuses(route) else await _read_body()
            request = self._request(params, body)
            response = await self._translator.answer(route, name, request)
            remember_undelivered(quart.request.scope, response)  # type: ignore[arg-type]  # ASGI lets us add keys
            return self._send(request, response)

        return view

    def _request(self, params: dict[str, str], body: Any) -> Request:
        source = quart.request
        scope: Any = source.scope
        return self._translator.request(scope, path=source.path, params=params, body=body)

    def _send(self, request: Request, response: Response) -> quart.Response:
        answer = quart.Response(response.body, response.status)
        answer.headers.clear()
        for name, value in self._translator.headers(response, request):
            answer.headers.add(name, value)
        return answer
