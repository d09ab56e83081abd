"""An event in the order in which clients are told, and how it is written to them."""

from __future__ import annotations

import re
import secrets
from functools import cached_property

import msgspec
from broker import Event, EventKind, timestamp, write_event

_ID = re.compile(r"([0-9a-z]{1,32})-(0|[1-9][0-9]{0,18})\Z")

_COUNTED: frozenset[EventKind] = frozenset({"queue.purged", "queue.redriven"})


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


class EventView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What clients are told of an event; never by whom, or from where."""

    event: EventKind
    """What happened."""
    queue: str
    """The queue in which it happened."""
    message_id: int | None = None
    """The message to which it happened."""
    timestamp: str
    """When."""
    count: int | None = None
    """To how many messages, where that is not one."""
    state: str | None = None
    """How far the message is in its life now."""
    moved_to: str | None = None
    """The queue where it is now."""
    reason: str | None = None
    """Why, as who did it told."""


class Entry(msgspec.Struct, frozen=True, dict=True):
    """An event with its place in the order.

    It is written once, whoever gets it: the dict is where its texts are kept.
    """

    id: EventId
    event: Event

    @cached_property
    def view(self) -> EventView:
        """What clients are told of it."""
        event = self.event
        is_counted = event.kind in _COUNTED or event.count != 1
        return EventView(
            event=event.kind,
            queue=event.queue,
            message_id=event.message_id,
            timestamp=timestamp(event.at),
            count=event.count if is_counted else None,
            state=event.state,
            moved_to=event.moved_to,
            reason=event.reason,
        )

    @cached_property
    def as_event(self) -> bytes:
        """As it is sent on `/events`: an event of its own kind."""
        return self.write(self.view)

    @cached_property
    def as_message(self) -> bytes:
        """As it is sent on `/stream/{queue}`."""
        view = self.view
        data = {
            "queue": view.queue,
            "message_id": view.message_id,
            "event": view.event,
            "timestamp": view.timestamp,
        }
        return write_event("message", msgspec.json.encode(data), event_id=str(self.id))

    def write(self, view: object) -> bytes:
        """Return this event as it is sent on `/events`, with this data."""
        return write_event(self.event.kind, msgspec.json.encode(view), event_id=str(self.id))
