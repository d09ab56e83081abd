"""What may be said when over a WebSocket, and what may not; without any network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from broker_graphql.websocket.frames import (
    ACK,
    Complete,
    ConnectionInit,
    Error,
    Next,
    Ping,
    Pong,
    Subscribe,
    read_frame,
    write_frame,
)

INVALID = 4400
UNACKNOWLEDGED = 4401
FORBIDDEN = 4403
WRONG_SUBPROTOCOL = 4406
INIT_TIMEOUT = 4408
TWICE = 4409
INIT_TWICE = 4429
INTERNAL = 4500
"""The codes with which the protocol has a WebSocket closed."""


class Breach(Exception):
    """The client said what ends the connection: with this code, and its reason for people."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Exchange:
    """One operation of a client, from when it asks until it got the last of it, or wants no more.

    What comes after that is nothing: so there is one end, whatever comes to pass at one time.
    """

    def __init__(self, name: str, among: dict[str, Exchange]) -> None:
        """`among` are all that go on over the connection, by name."""
        self._name = name
        self._among = among
        among[name] = self

    @property
    def is_over(self) -> bool:
        """Whether the client is told nothing more of this."""
        return self._among.get(self._name) is not self

    def next(self, result: Any) -> bytes:
        """Return what tells a result; nothing when it is over."""
        return b"" if self.is_over else write_frame(Next(self._name, result))

    def error(self, errors: Sequence[dict[str, Any]]) -> bytes:
        """Return what ends this with errors; nothing when it is over."""
        return self._end(Error(self._name, errors))

    def complete(self) -> bytes:
        """Return what ends this; nothing when it is over."""
        return self._end(Complete(self._name))

    def stop(self) -> None:
        """End this without a word."""
        if not self.is_over:
            del self._among[self._name]

    def _end(self, frame: Error | Complete) -> bytes:
        if self.is_over:
            return b""
        self.stop()
        return write_frame(frame)


class Begun(msgspec.Struct, frozen=True):
    """A client asks for an operation; `payload` is JSON, of which nothing is known yet."""

    exchange: Exchange
    payload: msgspec.Raw


class Stopped(msgspec.Struct, frozen=True):
    """A client wants no more of an operation."""

    exchange: Exchange


class Conversation:
    """What was said so far over one connection."""

    def __init__(self) -> None:
        self._was_begun = False
        self._is_acknowledged = False
        self._exchanges: dict[str, Exchange] = {}

    def take(self, message: str | bytes) -> ConnectionInit | Ping | Begun | Stopped | None:
        """Return what a message asks to be done, None if that is nothing; raises Breach."""
        if isinstance(message, bytes):
            raise Breach(INVALID, "expected text, received bytes")
        try:
            frame = read_frame(message)
        except ValueError as error:
            raise Breach(INVALID, f"invalid message: {error}") from error
        match frame:
            case ConnectionInit():
                return self._begin(frame)
            case Subscribe():
                return self._subscribe(frame)
            case Complete():
                exchange = self._exchanges.pop(frame.id, None)
                return None if exchange is None else Stopped(exchange)
            case Ping():
                return frame
            case Pong():
                return None

    def acknowledge(self) -> bytes:
        """Return what tells the client that it may ask from now on."""
        self._is_acknowledged = True
        return ACK

    def _begin(self, frame: ConnectionInit) -> ConnectionInit:
        if self._was_begun:
            raise Breach(INIT_TWICE, "Too many initialisation requests")
        self._was_begun = True
        return frame

    def _subscribe(self, frame: Subscribe) -> Begun:
        if not self._is_acknowledged:
            raise Breach(UNACKNOWLEDGED, "Unauthorized")
        if frame.id in self._exchanges:
            raise Breach(TWICE, f"Subscriber for {frame.id} already exists")
        return Begun(Exchange(frame.id, self._exchanges), frame.payload)
