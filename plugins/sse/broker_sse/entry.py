"""An event in the order in which clients are told."""

from __future__ import annotations

import re
import secrets

import msgspec
from broker import Event

_ID = re.compile(r"([0-9a-z]{1,32})-(0|[1-9][0-9]{0,18})\Z")


class EventId(msgspec.Struct, frozen=True):
    """Where an event stands: which run of the order, and the how many-th there, from 1."""

    epoch: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.sequence}"


def read_event_id(text: str) -> EventId | None:
    """Return what a client sent back as an id; None if it can be none of ours."""
    match = _ID.match(text)
    return None if match is None else EventId(match[1], int(match[2]))


def new_epoch() -> str:
    """Return the name of an order that begins now."""
    return secrets.token_hex(6)


class Entry(msgspec.Struct, frozen=True):
    """An event with its place in the order."""

    id: EventId
    event: Event
