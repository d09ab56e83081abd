"""How an event is written while it crosses from one node to the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from broker import Event, EventKind
from msgspec import Meta

VERSION = "1"
"""The name of the field that holds an event. What is written otherwise gets another name, so that
nodes of several versions can share an order and skip what they cannot read."""

LAST_MS = 253_402_300_799_999
"""The end of the year 9999, after which no timestamp can be written."""

Fields = Mapping[bytes, bytes]


class Crossing(msgspec.Struct, frozen=True, array_like=True):
    """An event, where it happened, and the how many-th of there it is.

    Whose request it was stays there, and bodies never were in it.
    """

    node: str
    number: int
    kind: EventKind
    queue: str
    at: Annotated[int, Meta(ge=0, le=LAST_MS)]
    message_id: int | None = None
    count: int = 1
    state: str | None = None
    moved_to: str | None = None
    reason: str | None = None

    @property
    def event(self) -> Event:
        """Return the event, for clients of any node."""
        return Event(
            kind=self.kind,
            queue=self.queue,
            at=self.at,
            subject="",
            message_id=self.message_id,
            count=self.count,
            state=self.state,
            moved_to=self.moved_to,
            reason=self.reason,
        )


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Crossing)


def write_crossing(node: str, number: int, event: Event) -> bytes:
    """Return an event as it crosses."""
    return _encoder.encode(
        Crossing(
            node,
            number,
            event.kind,
            event.queue,
            event.at,
            event.message_id,
            event.count,
            event.state,
            event.moved_to,
            event.reason,
        )
    )


def read_crossing(fields: Fields) -> Crossing | None:
    """Return what crossed; None for what this version cannot read, or no broker wrote."""
    try:
        return _decoder.decode(fields[VERSION.encode()])
    except (KeyError, msgspec.DecodeError, RecursionError):
        return None
