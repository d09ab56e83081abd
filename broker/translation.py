"""What every adapter of the routes does alike: ASGI's words to ours, and ours to HTTP's."""

from __future__ import annotations

import itertools
import logging
import re
import secrets
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import msgspec

from broker.auth import Identity, read_credentials
from broker.budget import Budget, Share, whose_address
from broker.delivery import STREAM, UNDELIVERED, Scope
from broker.errors import BrokerError, MessageTooLarge, Overloaded, PluginFailure, Unavailable
from broker.http import Request, Response, Route
from broker.problems import problem, problem_response
from broker.turn import CURRENT_TURN, OVERLOADED, Turn

if TYPE_CHECKING:
    from broker.engine import Broker
    from broker.stream import Stream

PREFIXES = ("", "/v1")

PROBES = ("/", "/healthz", "/readyz")
"""Who asks here is answered in any state of the broker. No other request is begun while it drains,
so that none is left half done, or while there are as many in flight as there may be."""

DRAINING = "the broker is shutting down; try again when it is back"

ANSWER_SECONDS = 60
"""How long a client may take to receive an answer."""

MAX_UNSENT_BYTES = 256 * 1024 * 1024
"""How much of all answers is in memory at once, but for what of each is small."""

MAX_SMALL_ANSWER_BYTES = 64 * 1024
"""How much of an answer is never counted."""

UNSENT = "broker.unsent"
"""The key in an ASGI scope under which a request leaves its share of the memory for answers."""

Headers = list[tuple[str, str]]

logger = logging.getLogger("broker.http")

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


def paths_of(route: Route) -> Iterator[str]:
    """Yield every path at which a route is mounted."""
    for prefix in PREFIXES:
        yield (prefix + route.path).rstrip("/") or "/"


def name_of(route: Route) -> str:
    """Return the name under which a route's answers are counted."""
    return f"{route.method} {route.path}"


class Translator:
    """Makes requests, answers them, and counts the answers; one for all of a broker's adapters."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._turns = broker.turns
        self._run = secrets.token_hex(6)
        self._count = itertools.count(1)
        self._unsent = Budget(
            MAX_UNSENT_BYTES, "too many large answers wait for who asked; try again in a moment"
        )

    def request(
        self, scope: Scope, *, path: str, params: Mapping[str, str], body: bytes
    ) -> Request:
        """Return the request that an ASGI scope describes."""
        headers = _read_headers(scope["headers"])
        request_id = headers.get("x-request-id")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            request_id = f"{self._run}-{next(self._count):x}"
        query = scope["query_string"]
        client = scope.get("client")
        return Request(
            method=scope["method"],
            path=path,
            params=params,
            query=_read_query(query) if query else {},
            headers=headers,
            body=body,
            peer=client[0] if client else "<local>",
            request_id=request_id,
        )

    def check_open(self, route: Route) -> None:
        """Raise Unavailable if a route is not served any more; ask before reading the body, and
        once: a request that was begun by then is answered, however long its body takes."""
        if route.path not in PROBES:
            self.check_draining()

    def check_draining(self) -> None:
        """Raise Unavailable if nothing is begun any more."""
        if self._broker.draining:
            raise Unavailable(DRAINING)

    async def identify(self, request: Request) -> Identity:
        """Return who sends a request by its headers; raises Unauthenticated."""
        return await self._broker.identify(read_credentials(request), peer=request.peer)

    async def answer(self, route: Route, name: str, request: Request, scope: Scope) -> Response:
        """Call a route's handler; every failure is that request's answer.

        What memory a large one takes is left in the scope, for `give_back_memory`; so is a stream,
        for `finish`.
        """
        if self._turns.are_all_taken and route.path not in PROBES:
            return self.count(name, problem_response(Overloaded(OVERLOADED), request))
        turn = Turn(self._turns)
        CURRENT_TURN.set(turn)
        try:
            response = await route.handler(request)
            await self._admit(response, request, scope)
        except Exception as error:  # noqa: BLE001  # isolates one request from all others
            response = self.failure(error, request)
        finally:
            turn.end()
        if headers := turn.headers():
            response = msgspec.structs.replace(response, headers=(*response.headers, *headers))
        return self.count(name, response)

    async def _admit(self, response: Response, request: Request, scope: Scope) -> None:
        stream = response.stream
        try:
            _check_headers(response)
            if stream is not None:
                self._broker.streams.join(stream)
                scope[STREAM] = stream
            elif len(response.body) > MAX_SMALL_ANSWER_BYTES and _may_be_withheld(
                response, request
            ):
                await self._take_memory(response, request, scope)
        except Exception:
            if stream is not None:
                await self.finish(stream)
            raise

    def next_piece(self, stream: Stream) -> Awaitable[bytes]:
        """Return what an answer goes on with, nothing at its end."""
        return self._broker.streams.next(stream)

    async def finish(self, stream: Stream) -> None:
        """Close the stream of an answer; to do so twice does no harm."""
        await self._broker.streams.leave(stream)

    async def _take_memory(self, response: Response, request: Request, scope: Scope) -> None:
        share = Share(self._unsent, whose_address(request.peer))
        try:
            share.hold(len(response.body) - MAX_SMALL_ANSWER_BYTES)
        except Overloaded:
            if response.undelivered is not None:
                await response.undelivered()
            raise
        scope[UNSENT] = share

    def failure(self, error: Exception, request: Request) -> Response:
        """Return the answer to a request that went wrong."""
        if isinstance(error, PluginFailure):
            logger.error("%s in request %s", error.problem, request.request_id, exc_info=error)
            return problem_response(error, request)
        if isinstance(error, BrokerError):
            return problem_response(error, request)
        logger.error("request %s failed", request.request_id, exc_info=error)
        self._broker.served.last_error = (type(error).__name__, self._broker.clock.now())
        detail = f"something went wrong; the log tells more about request {request.request_id}"
        return problem(request, status=500, code="internal", title="Internal error", detail=detail)

    def refuse(
        self, status: int, title: str, request: Request, headers: tuple[tuple[str, str], ...] = ()
    ) -> Response:
        """Return the answer to a request that never reaches a handler."""
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            too_large = MessageTooLarge("the body exceeds what is taken here")
            return self.count("unmatched", problem_response(too_large, request))
        response = problem(
            request,
            status=status,
            code=title.lower().replace(" ", "-"),
            title=title,
            detail=f"{request.method} {request.path}: {title.lower()}",
            headers=headers,
        )
        return self.count("unmatched", response)

    def count(self, name: str, response: Response) -> Response:
        """Count an answer, and return it."""
        self._broker.served.requests[name, response.status] += 1
        return response

    def headers(self, response: Response, request: Request, *, closes: bool = False) -> Headers:
        """Return all headers of a response, in order; `closes`: the connection ends with it."""
        headers = [pair for pair in response.headers if pair[0] not in _OURS]
        if response.stream is not None:
            headers += _STREAMING
        elif response.status != HTTPStatus.NO_CONTENT:
            headers.append(("content-length", str(len(response.body))))
        headers.append(("x-request-id", request.request_id))
        if closes or self._broker.retiring:
            headers.append(("connection", "close"))
        return headers


def remember_undelivered(scope: Scope, response: Response) -> None:
    """Leave in the scope what to do if nobody gets the response."""
    if response.undelivered is not None:
        scope[UNDELIVERED] = response.undelivered


def give_back_memory(scope: Scope) -> None:
    """Take it that the answer is sent, or nobody is there to get it."""
    share: Share | None = scope.get(UNSENT)
    if share is not None:
        share.give_back()


def _read_headers(fields: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    headers = {_read_name(name): value.decode("latin1") for name, value in fields}
    if len(headers) < len(fields):
        names = [_read_name(name) for name, _ in fields]
        if names.count("authorization") > 1:
            headers["authorization"] = ""  # a proxy may have checked another one than we would
        if names.count("cookie") > 1:  # HTTP/2 may send them one by one (RFC 9113, section 8.2.3)
            cookies = [value for name, value in fields if _read_name(name) == "cookie"]
            headers["cookie"] = b"; ".join(cookies).decode("latin1")
    return headers


@lru_cache(maxsize=1024)
def _read_name(name: bytes) -> str:
    return name.decode("latin1").lower()


def _may_be_withheld(response: Response, request: Request) -> bool:
    """Tell whether nothing was done, or it can be undone; of all else, who asked has to hear."""
    return response.undelivered is not None or request.method in _SAFE


_SAFE = frozenset({"GET", "HEAD"})

_OURS = frozenset({"connection", "content-length", "x-request-id"})

_STREAMING = (("cache-control", "no-store, no-transform"), ("x-accel-buffering", "no"))
"""A proxy shall neither keep nor pack what is sent (`x-accel-buffering` is nginx's word)."""


def _check_headers(response: Response) -> None:
    for name, value in response.headers:
        if "\n" in value or "\r" in value:
            raise ValueError(f'the value of the header "{name}" has more than one line')


def _read_query(text: bytes) -> dict[str, list[str]]:
    # Left to itself, parse_qs would keep what is not UTF-8 as it stands, and nobody could tell.
    escaped = text.decode(errors="surrogateescape")
    return parse_qs(escaped, keep_blank_values=True, errors="surrogateescape")
