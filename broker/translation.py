"""What every adapter of the routes does alike: ASGI's words to ours, and ours to HTTP's."""

from __future__ import annotations

import itertools
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from broker.access import GONE, Access, place_of, untraced
from broker.auth import Identity, read_credentials
from broker.budget import Budget, Share, whose_address
from broker.delivery import STREAM, UNDELIVERED, Scope
from broker.errors import (
    BrokerError,
    MessageTooLarge,
    Overloaded,
    PluginFailure,
    Unauthenticated,
    Unavailable,
)
from broker.http import Request, Response, Route
from broker.isolation import is_from_outside
from broker.limits import MAX_SMALL_BODY_BYTES
from broker.logs.lines import Tell
from broker.problems import problem, problem_response
from broker.soundness import check_response
from broker.stream import Stream
from broker.turn import CURRENT_TURN, OVERLOADED, Turn

if TYPE_CHECKING:
    from broker.engine import Broker

PREFIXES = ("", "/v1")

DRAINING = "the broker is shutting down; try again when it is back"

UNSEEN = (
    f"credentials are missing: of a body, no more than {MAX_SMALL_BODY_BYTES} bytes are read "
    "before the header Authorization says who sends it"
)

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


class Translator:
    """Makes requests, and answers them; one for all of a broker's adapters.

    `owners` are the plugins whose the routes are, `tell` takes a line for each request, `note`
    whatever a request went wrong with, and `trace_id` tells how the trace of a request is called.
    """

    def __init__(
        self,
        broker: Broker,
        owners: Mapping[Route, str],
        *,
        tell: Tell | None = None,
        note: Callable[[BaseException], None] | None = None,
        trace_id: Callable[[], str | None] = untraced,
    ) -> None:
        self.access = Access(broker.served, broker.clock.now, tell, trace_id)
        """What takes note of all requests."""
        self._broker = broker
        self._owners = owners
        self._note = note
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
        if not route.is_probe:
            self.check_draining()

    def check_draining(self) -> None:
        """Raise Unavailable if nothing is begun any more."""
        if self._broker.draining:
            raise Unavailable(DRAINING)

    async def identify(self, request: Request) -> Identity:
        """Return who sends a request of which there is no body yet, by the header Authorization;
        raises Unauthenticated."""
        credentials = read_credentials(request)
        try:
            return await self._broker.identify(credentials, peer=request.peer)
        except Unauthenticated as error:
            if credentials is not None:
                raise
            raise Unauthenticated(UNSEEN) from error

    async def answer(self, route: Route, request: Request, scope: Scope) -> Response:
        """Call a route's handler; every failure is that request's answer, and taken note of.

        What memory a large one takes is left in the scope, for `give_back_memory`; so is a stream,
        for `finish`.
        """
        place = place_of(route)
        if self._turns.are_all_taken and not route.is_probe:
            response = problem_response(Overloaded(OVERLOADED), request)
            self.access.note(place, response.status, request)
            return response
        turn = Turn(self._turns, request.request_id)
        CURRENT_TURN.set(turn)
        begun = perf_counter()
        try:
            response = await self._ask(route, request, scope)
        except BaseException as error:
            if is_from_outside(error):
                self.access.note(place, GONE, request, perf_counter() - begun)
                raise
            # Isolates one request from all others; SystemExit would end the broker.
            response = self.failure(error, request, self._owners.get(route))
        finally:
            turn.end()
        if headers := turn.headers():
            response = msgspec.structs.replace(response, headers=(*response.headers, *headers))
        seconds = perf_counter() - begun
        self.access.note(place, response.status, request, seconds, is_measured=True)
        return response

    async def _ask(self, route: Route, request: Request, scope: Scope) -> Response:
        response = await route.handler(request)
        if type(response) is not Response:
            raise TypeError(f"no Response was returned, but {type(response).__name__}")
        if response.undelivered is not None:
            undelivered = partial(self._take_back, route, response.undelivered)
            response = msgspec.structs.replace(response, undelivered=undelivered)
        try:
            self._admit(route, response, request, scope)
        except BaseException:
            if isinstance(response.stream, Stream):
                await self.finish(response.stream)
            if response.undelivered is not None:
                await response.undelivered()
            raise
        return response

    def _admit(self, route: Route, response: Response, request: Request, scope: Scope) -> None:
        check_response(response)
        if response.stream is not None:
            self._broker.streams.join(response.stream, self._owners.get(route))
            scope[STREAM] = response.stream
        elif _takes_memory(response) and _may_be_withheld(response, request):
            share = Share(self._unsent, whose_address(request.peer))
            share.hold(len(response.body) - MAX_SMALL_ANSWER_BYTES)
            scope[UNSENT] = share

    async def _take_back(self, route: Route, undelivered: Callable[[], Awaitable[Any]]) -> None:
        try:
            await undelivered()
        # An isolation point: nobody is there to hear of it.
        except BaseException as error:
            if is_from_outside(error):
                raise
            self._broker.failures.note(self._owners.get(route, ""), "take back an answer", error)

    def next_piece(self, stream: Stream) -> Awaitable[bytes]:
        """Return what an answer goes on with, nothing at its end."""
        return self._broker.streams.next(stream)

    async def finish(self, stream: Stream) -> None:
        """Close the stream of an answer; to do so twice does no harm."""
        await self._broker.streams.leave(stream)

    def failure(
        self, error: BaseException, request: Request, plugin: str | None = None
    ) -> Response:
        """Return the answer to a request that went wrong, in what this plugin does."""
        if self._note is not None:
            self._note(error)
        if isinstance(error, PluginFailure):
            logger.error("%s in request %s", error.problem, request.request_id)
            self._remember(error.__cause__ or error)
        if isinstance(error, BrokerError):
            try:
                response = problem_response(error, request, challenge=self._broker.challenge)
                check_response(response)
            except Exception as unsound:  # noqa: BLE001  # what a plugin made of an error
                error = unsound
            else:
                return response
        who = "the broker"
        if plugin is not None:
            self._broker.failures.count(plugin, "answer")
            who = f'plugin "{plugin}"'
        logger.error("%s failed to answer request %s", who, request.request_id, exc_info=error)
        self._remember(error)
        detail = f"something went wrong; the log tells more about request {request.request_id}"
        return problem(request, status=500, code="internal", title="Internal error", detail=detail)

    def _remember(self, error: BaseException) -> None:
        self._broker.served.last_error = (type(error).__name__, self._broker.clock.now())

    def refuse(
        self, status: int, title: str, request: Request, headers: tuple[tuple[str, str], ...] = ()
    ) -> Response:
        """Return the answer to a request that never reaches a handler."""
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            too_large = MessageTooLarge("the body exceeds what is taken here")
            return problem_response(too_large, request)
        return problem(
            request,
            status=status,
            code=title.lower().replace(" ", "-"),
            title=title,
            detail=f"{request.method} {request.path}: {title.lower()}",
            headers=headers,
        )

    def headers(self, response: Response, request: Request, *, closes: bool = False) -> Headers:
        """Return all headers of a response, in order; `closes`: the connection ends with it."""
        headers = [pair for pair in response.headers if pair[0].lower() not in _OURS]
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


def _takes_memory(response: Response) -> bool:
    return len(response.body) > MAX_SMALL_ANSWER_BYTES and not response.is_shared


def _may_be_withheld(response: Response, request: Request) -> bool:
    """Tell whether nothing was done, or it can be undone; of all else, who asked has to hear."""
    return response.undelivered is not None or request.method in _SAFE


_SAFE = frozenset({"GET", "HEAD"})

_OURS = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)
"""What no handler has a say in: where an answer ends, and what becomes of its connection."""

_STREAMING = (("cache-control", "no-store, no-transform"), ("x-accel-buffering", "no"))
"""A proxy shall neither keep nor pack what is sent (`x-accel-buffering` is nginx's word)."""


def _read_query(text: bytes) -> dict[str, list[str]]:
    # Left to itself, parse_qs would keep what is not UTF-8 as it stands, and nobody could tell.
    escaped = text.decode(errors="surrogateescape")
    return parse_qs(escaped, keep_blank_values=True, errors="surrogateescape")
