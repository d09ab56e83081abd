"""What an HTTP server should have refused, and not every one does."""

from __future__ import annotations

from broker.delivery import ASGIApp, Receive, Scope, Send

_FORMS = ("/", "http://", "https://")
_OLD = ("1.0", "1")
"""HTTP/1.0, in ASGI's words and in Granian's."""


class Strictness:
    """An ASGI layer that refuses requests which RFC 9112, section 3.2, calls invalid."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        if scope["type"] == "http" and not (_has_one_host(scope) and _has_target(scope)):
            await refuse(send)
        else:
            await self._app(scope, receive, send)


async def refuse(send: Send) -> None:
    """Answer what is no HTTP, as the servers themselves do."""
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body"})


def _has_one_host(scope: Scope) -> bool:
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if scope["http_version"] in _OLD:
        return len(hosts) <= 1
    return len(hosts) == 1 and hosts[0] != b""


def _has_target(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith(_FORMS) or (path == "*" and scope["method"] == "OPTIONS")
