"""What the API documentation tells of this plugin's routes."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec
from broker import (
    EVENT_KINDS,
    Answer,
    CrossSite,
    Description,
    EndReason,
    Malformed,
    Moment,
    QueueName,
    QueueNotFound,
    TooManyStreams,
    end_event,
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


class EventsQuery(StreamQuery, frozen=True, kw_only=True):
    """Which events are told, and with what."""

    queue: Annotated[list[Glob], Meta(max_length=50)] = []
    event: Annotated[list[EventGlob], Meta(max_length=50)] = []
    payload: Flag = "0"


class StreamHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """What browsers send when they come back."""

    last_event_id: str | None = msgspec.field(default=None, name="Last-Event-ID")


class StreamPath(msgspec.Struct, frozen=True, kw_only=True):
    """Which queue is meant."""

    queue: QueueName


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream begins: after which event, and whether something is missing before it."""

    resumed_from: str | None
    gap: bool


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Why something may be missing here."""

    reason: str


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing more comes."""

    reason: EndReason


class MessageEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a message, in the form of the predecessor."""

    queue: str
    message_id: int | None
    event: str
    timestamp: Moment


class TicketView(msgspec.Struct, frozen=True, kw_only=True):
    """What opens one stream, and for how many seconds."""

    ticket: str
    expires_in: int


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
ENDS = {"gap": Gap, **dict.fromkeys(map(end_event, get_args(EndReason)), Ending)}

EVENTS = Description(
    name="stream_events",
    tag=TAG,
    needs=("read",),
    query=EventsQuery,
    headers=StreamHeaders,
    security=CREDENTIALS,
    answers=(Answer(bytes, media_type="text/event-stream", headers=("Cache-Control",)),),
    events={
        "open": Opening,
        **{kind: FullView if kind.startswith("message.") else EventView for kind in KINDS},
        "stats": StatsView,
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
    answers=(Answer(bytes, media_type="text/event-stream", headers=("Cache-Control",)),),
    events={"system": MessageEvent, "message": MessageEvent, **ENDS},
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
