"""What the API documentation tells of this plugin's routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec
from broker import (
    EVENT_KINDS,
    Answer,
    Body,
    CrossSite,
    Description,
    EndReason,
    Malformed,
    Moment,
    QueueName,
    QueueNotFound,
    TooManyStreams,
    end_event,
    write_event,
)
from msgspec import Meta

from broker_sse.entry import EventView
from broker_sse.full_feed import FullView
from broker_sse.stats import StatsView
from broker_sse.tickets import TICKET_SECONDS, InvalidTicket, TooManyTickets

TAG = "Events"

KINDS = sorted(EVENT_KINDS)

Glob = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^,\x00-\x1f\x7f-\x9f]*\Z")]
EventGlob = Annotated[Glob, Meta(extra_json_schema={"format": "event-glob"})]
Flag = Literal["0", "1", "true", "false"]


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a stream begins."""

    last_event_id: str = ""
    """Go on after the event of this id; `earliest`: begin with the oldest that is known; nothing:
    with what comes."""


class EventsQuery(StreamQuery, frozen=True, kw_only=True):
    """Which events are told, and with what."""

    queue: Annotated[list[Glob], Meta(max_length=50)] = []
    """Only events in queues that one of these globs covers, several with commas; none: in all that
    you may read."""
    event: Annotated[list[EventGlob], Meta(max_length=50)] = []
    """Only events of kinds that one of these globs covers, several with commas: `message.*`; none:
    of all but `stats`."""
    payload: Flag = "0"
    """Whether messages come with their content, to who may consume."""


class StreamHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """What browsers send when they come back."""

    last_event_id: str | None = msgspec.field(default=None, name="Last-Event-ID")
    """The same as the parameter, from who was here before; of both, this counts."""


class StreamPath(msgspec.Struct, frozen=True, kw_only=True):
    """Which queue is meant."""

    queue: Annotated[QueueName, Meta(examples=["orders"])]
    """The name of the queue."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream begins: after which event, and whether something is missing before it."""

    resumed_from: str | None
    """The id after which it goes on; null: nothing was asked for."""
    gap: bool
    """Whether something is missing after that."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Why something may be missing here."""

    reason: str
    """`history`: it was forgotten; else what happened to Redis."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing more comes."""

    reason: EndReason
    """Come again at once after `rotated`; after `shutdown` and `unavailable`, in a moment."""


class MessageEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a message, in the form of the predecessor."""

    queue: str
    """The queue in which it happened."""
    message_id: int | None
    """The message to which it happened; null: to none."""
    event: str
    """What happened."""
    timestamp: Moment
    """When."""


class TicketView(msgspec.Struct, frozen=True, kw_only=True):
    """What opens one stream, and for how many seconds."""

    ticket: str
    """What to ask for as `ticket`, once."""
    expires_in: int
    """For how many seconds it is good."""


CREDENTIALS = {
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "What POST /events/ticket gives; it opens one stream.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "broker_session",
        "description": "The cookie of POST /events/session; `__Host-broker_session` with HTTPS.",
    },
}
AT = "2026-11-22T21:31:07.345Z"
TOLD: Mapping[str, Mapping[str, Any]] = {
    "message.published": {"state": "pending"},
    "message.leased": {"state": "processing"},
    "message.extended": {"state": "processing"},
    "message.acked": {"state": "processed"},
    "message.released": {"state": "pending"},
    "message.retried": {"state": "pending", "reason": "busy"},
    "message.redriven": {"state": "pending"},
    "message.rejected": {"state": "failed", "reason": "no such customer"},
    "message.failed": {"state": "failed", "reason": "no such customer"},
    "message.dead_lettered": {
        "state": "pending",
        "moved_to": "failures",
        "reason": "no such customer",
    },
    "message.expired": {"reason": "ttl passed"},
    "queue.purged": {"count": 3},
    "queue.redriven": {"count": 3},
}
"""What is told of some kinds of events beside what is told of all."""

STATS = {
    "timestamp": AT,
    "queues": 2,
    "pending": 3,
    "processing": 1,
    "processed": 0,
    "failed": 0,
    "scheduled": 0,
    "published_per_second": 1.5,
    "delivered_per_second": 1.0,
    "acked_per_second": 1.0,
}


def _event(kind: str) -> Body:
    """Return the data of an event of this kind."""
    told = {"event": kind, "queue": "orders", "timestamp": AT, **TOLD.get(kind, {})}
    if kind.startswith("message."):
        return Body(FullView, {**told, "message_id": 7})
    return Body(EventView, told)


def _old_event(kind: str) -> Body:
    """Return the data of an event as the predecessor told it."""
    number = 7 if kind.startswith("message.") else None
    example = {"queue": "orders", "message_id": number, "event": kind, "timestamp": AT}
    return Body(MessageEvent, example)


def _stream(name: str, body: Body) -> Answer:
    event = write_event(name, msgspec.json.encode(body.example), event_id="5f1c0a9d2b7e-42")
    return Answer(bytes, event.decode(), "text/event-stream", headers=("Cache-Control",))


ENDS = {
    "gap": Body(Gap, {"reason": "history"}),
    **{end_event(reason): Body(Ending, {"reason": reason}) for reason in get_args(EndReason)},
}

EVENTS = Description(
    name="stream_events",
    tag=TAG,
    needs=("read",),
    query=EventsQuery,
    headers=StreamHeaders,
    security=CREDENTIALS,
    answers=(_stream("message.published", _event("message.published")),),
    events={
        "open": Body(Opening, {"resumed_from": "5f1c0a9d2b7e-41", "gap": False}),
        **{kind: _event(kind) for kind in KINDS},
        "stats": Body(StatsView, STATS),
        **ENDS,
    },
    errors=(Malformed, InvalidTicket, CrossSite, QueueNotFound, TooManyStreams),
)
QUEUE = Description(
    name="stream_queue",
    tag=TAG,
    needs=("read",),
    params=StreamPath,
    query=StreamQuery,
    headers=StreamHeaders,
    security=CREDENTIALS,
    answers=(_stream("message", _old_event("message.published")),),
    events={
        "system": _old_event("connected"),
        "message": _old_event("message.published"),
        **ENDS,
    },
    errors=(Malformed, InvalidTicket, CrossSite, TooManyStreams),
)
GIVE_TICKET = Description(
    name="create_ticket",
    tag=TAG,
    needs=("read",),
    answers=(
        Answer(
            TicketView,
            {
                "ticket": "kW3Vv0mYc1bN2xQ8rT5uL7pZ4sD6fG9hJ0aEwIoBzXk",
                "expires_in": TICKET_SECONDS,
            },
            status=201,
            headers=("Cache-Control",),
        ),
    ),
    errors=(Malformed, TooManyTickets),
)
BEGIN_SESSION = Description(
    name="create_session",
    tag=TAG,
    needs=("read",),
    answers=(Answer(status=204, headers=("Set-Cookie", "Cache-Control")),),
    errors=(Malformed,),
)
END_SESSION = Description(
    name="delete_session",
    tag=TAG,
    needs=None,
    answers=(Answer(status=204, headers=("Set-Cookie", "Cache-Control")),),
)
