"""What an HTTP server should have refused, and not every one does."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import Literal

from broker.delivery import ASGIApp, Receive, Scope, Send
from broker.serving.endpoint import MAX_FIELDS, MAX_HEAD_BYTES
from broker.serving.refusal import make_refusal

Kind = Literal["http", "websocket.http"]
"""How a server calls the answers to a request, and those that refuse a WebSocket."""

_FORMS = ("/", "http://", "https://")
_OLD = ("1.0", "1")
"""HTTP/1.0, in ASGI's words and in Granian's."""
_HOST = re.compile(rb"[!$%&'()*+,.0-9:;=A-Z\[\]_a-z~-]+")
"""RFC 3986, section 3.2.2, and a port; what looks like a user or a path is none."""
_BETWEEN = len(": \r\n")


class Strictness:
    """An ASGI layer that refuses requests which RFC 9112 calls invalid, or whose head is too large.

    Of two readers of one connection, such as a proxy and this server, each may take the end of a
    request of doubtful length for elsewhere: so none is served, and its connection ends.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        kind: Kind = "http" if scope["type"] == "http" else "websocket.http"
        if _is_large(scope):
            await refuse(send, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, kind=kind)
        elif not (_has_target(scope) and _has_sound_headers(scope)):
            await refuse(send, kind=kind)
        else:
            await self._app(scope, receive, send)


async def refuse(
    send: Send, status: int = HTTPStatus.BAD_REQUEST, *, kind: Kind, level: int = logging.INFO
) -> None:
    """Answer what is no HTTP, as the servers themselves do; the log is told at this level."""
    headers, body = make_refusal(status, level=level)
    await send({"type": f"{kind}.response.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body, "more_body": False})


def _is_large(scope: Scope) -> bool:
    fields = scope["headers"]
    if len(fields) > MAX_FIELDS:
        return True
    size = len(_method(scope)) + len(scope["raw_path"]) + len(scope["query_string"])
    size += _BETWEEN * len(fields)
    for name, value in fields:
        size += len(name) + len(value)
    return size > MAX_HEAD_BYTES


def _method(scope: Scope) -> str:
    method: str = scope.get("method", "GET")  # with no other a WebSocket begins
    return method


def _has_target(scope: Scope) -> bool:
    """Tell whether the target has a form that section 3.2 allows for the method."""
    path: str = scope["path"]
    method = _method(scope)
    if method == "CONNECT":  # a proxy may take what follows for a tunnel's
        return False
    return path.startswith(_FORMS) or (path == "*" and method == "OPTIONS")


def _has_sound_headers(scope: Scope) -> bool:
    """Tell whether one host is named (section 3.2) and the body has one length (section 6)."""
    hosts, lengths, encodings = [], [], []
    for name, value in scope["headers"]:
        if name == b"host":
            hosts.append(value)
        elif name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            encodings.append(value.lower())
    is_old = scope["http_version"] in _OLD
    if hosts in ([], [b""]):
        has_host = is_old
    else:
        has_host = len(hosts) == 1 and _HOST.fullmatch(hosts[0]) is not None
    if encodings:
        return has_host and encodings == [b"chunked"] and not lengths and not is_old
    return has_host and len(lengths) <= 1 and all(length.isdigit() for length in lengths)
