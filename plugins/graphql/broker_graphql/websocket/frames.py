"""The messages of graphql-transport-ws (enisdenjo/graphql-ws, PROTOCOL.md), as they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

SUBPROTOCOL = "graphql-transport-ws"

PING = b'{"type":"ping"}'
PONG = b'{"type":"pong"}'
ACK = b'{"type":"connection_ack"}'

Id = Annotated[str, Meta(min_length=1, max_length=256)]
"""The name that a client gives an operation, for as long as it goes on."""


class ConnectionInit(Struct, frozen=True, tag_field="type", tag="connection_init"):
    """A client says who it is."""

    payload: dict[str, Any] | None = None


class Ping(Struct, frozen=True, tag_field="type", tag="ping"):
    """Somebody asks whether the other one is there."""


class Pong(Struct, frozen=True, tag_field="type", tag="pong"):
    """Somebody is there."""


class Subscribe(Struct, frozen=True, tag_field="type", tag="subscribe"):
    """A client asks for an operation, of whatever kind."""

    id: Id
    payload: msgspec.Raw
    """A request, as a body of HTTP would hold it."""


class Complete(Struct, frozen=True, tag_field="type", tag="complete"):
    """An operation is over: a client wants no more of it, or there is no more."""

    id: Id


class Next(Struct, frozen=True, tag_field="type", tag="next"):
    """A result of an operation."""

    id: str
    payload: Any


class Error(Struct, frozen=True, tag_field="type", tag="error"):
    """An operation is over, because of these errors."""

    id: str
    payload: Sequence[dict[str, Any]]


Frame = ConnectionInit | Ping | Pong | Subscribe | Complete

_decoder: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(Frame)


def read_frame(text: str) -> Frame:
    """Return the message of a client; raises ValueError."""
    try:
        return _decoder.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


write_frame = msgspec.json.Encoder().encode
