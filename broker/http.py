"""HTTP without a framework: what a transport's handlers take and return.

A handler is a plain async function from a Request to a Response, so that the same function can
be served by Quart or by anything thinner, and tested without either.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from broker.description import Description
from broker.limits import MAX_SMALL_BODY_BYTES

if TYPE_CHECKING:
    from broker.stream import Stream


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request, its body read."""

    method: str
    """Upper case, `POST` for example."""
    path: str
    """As the client asked, with `/v1` if it did; percent-decoded, without the query."""
    params: Mapping[str, str] = {}
    """The variable parts of the route's path."""
    query: Mapping[str, list[str]] = {}
    """The parameters behind the `?`, each with all its values."""
    headers: Mapping[str, str] = {}
    """Names in lower case."""
    body: bytes = b""
    """The whole of it, no longer than the route takes."""
    peer: str = ""
    """The address of the client: of the other end of the socket, or what trusted proxies say."""
    request_id: str = ""
    """What log lines and problems call this request."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One response."""

    status: int = 200
    """The status code of HTTP."""
    body: bytes = b""
    """What is sent, unless there is a stream."""
    headers: tuple[tuple[str, str], ...] = ()
    """Names and values; the core adds what belongs on every answer."""
    undelivered: Callable[[], Awaitable[Any]] | None = None
    """Awaited when the client went away before it could get this."""
    is_shared: bool = False
    """Whether the body is one object for all who ask, and kept anyway: it takes none of the memory
    that answers may take which nobody has read yet."""
    stream: Stream | None = None
    """What is sent instead of `body`, for as long as the client stays; with headers that keep
    proxies from holding it up."""


Handler = Callable[[Request], Awaitable[Response]]
"""What answers a request; a BrokerError that it raises is the problem that the client gets."""


class Route(msgspec.Struct, frozen=True):
    """Where a handler is reached: a method and a path such as `/queues/{queue}`."""

    method: str
    """Upper case; a route for GET answers HEAD too."""
    path: str
    """As the client writes it; `{name}` takes a part, which `Request.params` has."""
    handler: Handler
    """What is asked for the answer."""
    hot: bool = False
    """Worth the shortest way: publish, lease, settle."""
    gives: bool = False
    """Gives something away, so it ends when its client goes; a hot route that does not is finished
    for nobody, which costs less than to look."""
    max_body: int = MAX_SMALL_BODY_BYTES
    """How many bytes of a body are taken; a longer one is 413.

    Beyond the default, a body is read only of those whom the broker identifies by the header
    Authorization, before the handler is asked; of others, the answer is 401 and the body stays
    unread. So a route whose clients prove otherwise who they are, by a cookie or by signing the
    body, has to do with the default; and with 4 KiB while small bodies take too much memory, when
    more is 503."""
    described: Description | None = None
    """What the API documentation tells of it; without, it is not in there."""
    is_probe: bool = False
    """Tells how the broker is, so it is answered in any state of that. No other request is begun
    while it drains, so that none is left half done, or while as many are in flight as may be."""


def json_response(
    value: object, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """Make a JSON response of anything that msgspec encodes."""
    return Response(
        status=status,
        body=msgspec.json.encode(value),
        headers=(("content-type", "application/json"), *headers),
    )
