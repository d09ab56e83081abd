"""A span for each request, by the stable conventions for HTTP servers.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    set_span_in_context,
)

from broker.delivery import STREAM, ASGIApp, Receive, Scope, Send
from broker.http import Route
from broker.tracing.propagation import context_of

METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)
"""Those that a span may be named after; clients could make up any number of others."""

MAX_TEXT = 1024
"""How many characters of what a client says of itself, and of a path, a span keeps."""

Find = Callable[[Scope], Route | None]
"""Returns the route that a request is for."""


class TracedApp:
    """An ASGI layer in front of all that answers requests.

    A request's span ends with its answer; with that of a stream, when it begins: it may go on for
    days, and what is leased for it later belongs to no request any more.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer, find: Find) -> None:
        self._app = app
        self._tracer = tracer
        self._find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answering = _Answering(self._begin(scope), scope, send)
        token = attach(set_span_in_context(answering.span))
        try:
            await self._app(scope, receive, answering.send)
        finally:
            answering.end()
            detach(token)

    def _begin(self, scope: Scope) -> Span:
        parent = context_of(scope["headers"])
        context = Context()
        if parent is not None:
            context = set_span_in_context(NonRecordingSpan(parent), context)
        route = self._find(scope)
        method = scope["method"] if scope["method"] in METHODS else "HTTP"
        return self._tracer.start_span(
            method if route is None else f"{method} {route.path}",
            context=context,
            kind=SpanKind.SERVER,
            attributes=_attributes(scope, route),
        )


class _Answering:
    """What a span is told of the answer to its request."""

    __slots__ = ("_is_over", "_scope", "_send", "span")

    def __init__(self, span: Span, scope: Scope, send: Send) -> None:
        self.span = span
        self._scope = scope
        self._send = send
        self._is_over = False

    async def send(self, event: Any) -> None:
        """Send what ASGI sends."""
        if event["type"] == "http.response.start":
            self._tell(event)
        await self._send(event)

    def end(self) -> None:
        """End the span, if it has not ended."""
        if not self._is_over:
            self._is_over = True
            self.span.end()

    def _tell(self, start: Any) -> None:
        status = start["status"]
        self.span.set_attribute("http.response.status_code", status)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.span.set_attribute("error.type", str(status))
            self.span.set_status(StatusCode.ERROR)
        for name, value in start["headers"]:
            if name == b"x-request-id":  # by which the log calls the request
                values = [value.decode("latin1")]
                self.span.set_attribute("http.response.header.x-request-id", values)
        if STREAM in self._scope:
            self.end()
            attach(Context())  # for the rest of the task, which is that of the stream


def _attributes(scope: Scope, route: Route | None) -> dict[str, str]:
    # Neither the query nor a header that may hold credentials.
    method, client = scope["method"], scope.get("client")
    attributes = {
        "http.request.method": method if method in METHODS else "_OTHER",
        "url.path": scope["path"][:MAX_TEXT],
        "url.scheme": scope.get("scheme", "http"),
        "network.protocol.version": scope.get("http_version", "1.1"),
    }
    if method not in METHODS:
        attributes["http.request.method_original"] = method[:MAX_TEXT]
    if route is not None:
        attributes["http.route"] = route.path
    if client:
        attributes["client.address"] = client[0]
    for name, value in scope["headers"]:
        if name == b"user-agent":
            attributes["user_agent.original"] = value.decode("latin1")[:MAX_TEXT]
    return attributes
