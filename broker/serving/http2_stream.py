"""One request over HTTP/2, in ASGI's words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import unquote

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.utilities import HeaderValidationFlags, validate_headers

from broker.delivery import Scope

Fields = Iterable[tuple[bytes, bytes]]

_LENGTH = re.compile(rb"[0-9]{1,20}")  # no server takes as many bytes as could be said
_OVER = {"type": "http.disconnect"}
_A_REQUEST = HeaderValidationFlags(
    is_client=False, is_trailer=False, is_response_header=False, is_push_promise=False
)


class MalformedError(Exception):
    """The headers are not those of a request."""


class Connection(Protocol):
    """What a stream needs of its connection."""

    h2: H2Connection

    def acknowledge(self, stream_id: int, size: int) -> None:
        """Let the client send as much more as was read."""

    def note_answer(self) -> None:
        """Take note that the client is sent something it asked for."""

    def common_headers(self) -> Fields:
        """Return what stands in every answer."""

    async def flush(self) -> None:
        """Return when all is written, or nobody is there any more."""

    async def changed(self) -> None:
        """Wait until a window may have grown, or a stream may have ended."""


def make_scope(base: Mapping[str, Any], headers: Fields) -> Scope:
    """Return the ASGI scope of a request; raises MalformedError."""
    try:
        fields = [(bytes(name), bytes(value)) for name, value in validate(headers)]
        pseudo = {name: value for name, value in fields if name.startswith(b":")}
        method = pseudo[b":method"].decode("ascii")
        target = pseudo[b":path"].decode("ascii")
    except (ProtocolError, KeyError, UnicodeDecodeError) as error:
        raise MalformedError from error
    path, _, query = target.partition("?")
    plain = [field for field in fields if not field[0].startswith(b":")]
    if b":authority" in pseudo:  # `host` says the same, or it is not valid
        plain = [(b"host", pseudo[b":authority"]), *(f for f in plain if f[0] != b"host")]
    return {
        **base,
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": plain,
    }


def length_of(scope: Scope, *, has_body: bool) -> int | None:
    """Return how long the headers say that the body is; raises MalformedError."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    if not lengths:
        return None
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]) or (int(lengths[0]) and not has_body):
        raise MalformedError
    return int(lengths[0])


def validate(headers: Fields) -> Fields:
    """Yield the headers of a request; raises ProtocolError where RFC 9113 does not allow them."""
    return validate_headers(headers, _A_REQUEST)


def make_head(status: int, headers: Fields = ((b"content-length", b"0"),)) -> Fields:
    """Return the headers of an answer; h2 leaves out what HTTP/2 forbids, as `connection`."""
    return [(b":status", b"%d" % status), *headers]


class Stream:
    """A request, what has come of its body, and what was sent of its answer."""

    def __init__(
        self, stream_id: int, scope: Scope, length: int | None, connection: Connection
    ) -> None:
        self.id = stream_id
        self.scope = scope
        self.unread = 0
        """How much of the window the parts of the body take up that the app has not taken."""
        self._length = length
        self._received = 0
        self._connection = connection
        self._h2 = connection.h2
        self._messages: asyncio.Queue[tuple[dict[str, Any], int]] = asyncio.Queue()
        self._head: Fields | None = None
        self._is_whole = False
        self._is_begun = False
        self._is_answered = False
        self._is_gone = False
        self._is_over = False

    def take_data(self, data: bytes, size: int) -> bool:
        """Take a part of the body, which takes up `size` of the window; tell whether the body is
        no longer than was said."""
        self.unread += size
        self._received += len(data)
        if self._length is not None and self._received > self._length:
            return False
        self._put({"type": "http.request", "body": data, "more_body": True}, size)
        return True

    def end_request(self) -> bool:
        """Take the end of the body; tell whether the body is as long as was said."""
        if self._length not in {None, self._received}:
            return False
        self._is_whole = True
        self._put({"type": "http.request", "body": b"", "more_body": False})
        return True

    def leave(self) -> None:
        """Take it that nobody waits for the answer any more."""
        self._is_gone = True
        self._end()

    async def receive(self) -> dict[str, Any]:
        """Return the next ASGI message, again and again that all is over if it is; what it took up
        of the window, the client may send anew."""
        message, size = await self._messages.get()
        if message is _OVER:
            self._messages.put_nowait((_OVER, 0))
        self.unread -= size
        self._connection.acknowledge(self.id, size)
        return message

    async def send(self, message: Any) -> None:
        """Send a part of the answer; return when it is written, or nobody waits for it."""
        if message["type"] == "http.response.start":
            headers = (*message.get("headers", ()), *self._connection.common_headers())
            self._head = make_head(message["status"], headers)
            return
        body = b"" if self.scope["method"] == "HEAD" else message.get("body", b"")
        try:
            await self._send_part(memoryview(body), is_last=not message.get("more_body"))
        except ProtocolError:  # the stream has ended meanwhile, or HTTP/2 knows no such headers
            self.leave()
            with suppress(ProtocolError):
                self._h2.reset_stream(self.id, ErrorCodes.INTERNAL_ERROR)

    def finish(self) -> bool:
        """End what the app left unfinished; tell whether the client still sends a body."""
        if self._is_gone:
            return False
        if not self._is_begun:
            self._h2.send_headers(self.id, make_head(500), end_stream=True)
        elif not self._is_answered:
            self._h2.reset_stream(self.id, ErrorCodes.INTERNAL_ERROR)
            return False
        return not self._is_whole

    async def _send_part(self, rest: memoryview, *, is_last: bool) -> None:
        if self._is_gone or self._is_answered or self._head is None:
            return
        self._connection.note_answer()
        self._is_answered = is_last and not rest
        if not self._is_begun:
            self._is_begun = True
            self._h2.send_headers(self.id, self._head, end_stream=self._is_answered)
        elif self._is_answered:
            self._h2.end_stream(self.id)
        while rest and not self._is_gone:
            room = self._h2.local_flow_control_window(self.id)
            size = min(len(rest), room, self._h2.max_outbound_frame_size)
            if size <= 0:
                await self._connection.changed()
                continue
            part, rest = rest[:size], rest[size:]
            self._is_answered = is_last and not rest
            self._h2.send_data(self.id, bytes(part), end_stream=self._is_answered)
            self._connection.note_answer()
            await self._connection.flush()
        await self._connection.flush()
        if self._is_answered:  # not before: the app may stop at what it is told
            self._end()

    def _put(self, message: dict[str, Any], size: int = 0) -> None:
        if not self._is_over:
            self._messages.put_nowait((message, size))

    def _end(self) -> None:
        self._put(_OVER)
        self._is_over = True
