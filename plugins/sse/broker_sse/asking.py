"""What a request for a stream asks, whoever it is that asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from broker import FieldError, Invalid, Malformed, QueueName, Request

from broker_sse.door import TICKET, refuse_tokens
from broker_sse.entry import read_event_id
from broker_sse.filters import Filter, read_filter, shown
from broker_sse.history import Start
from broker_sse.log import EventLog

Query = Mapping[str, Sequence[str]]

LAST_ID = "last_event_id"
EARLIEST = "earliest"
PAYLOAD = "payload"

_FLAGS = {"1": True, "true": True, "0": False, "false": False}


def read_wants(request: Request) -> Filter:
    """Return which events a request asks for; raises Malformed."""
    _refuse_unknown(request, ("queue", "event", PAYLOAD, LAST_ID, TICKET))
    return read_filter(request.query)


def read_payload(request: Request) -> bool:
    """Tell whether a request asks for what is in messages, too; raises Malformed."""
    text = _read_single(request.query, PAYLOAD)
    if text is not None and text not in _FLAGS:
        raise Malformed(f'expected 1 or 0 as "{PAYLOAD}", received {shown(text)}')
    return text is not None and _FLAGS[text]


def read_queue(request: Request) -> str:
    """Return the queue of which a request asks to be told; raises Malformed, and Invalid if there
    can be none of that name."""
    _refuse_unknown(request, (LAST_ID, TICKET))
    try:
        return msgspec.convert(request.params["queue"], QueueName)
    except ValueError as error:
        raise Invalid([FieldError("queue", "expected the name of a queue")]) from error


async def read_start(request: Request, log: EventLog) -> Start:
    """Return where a request asks to begin: after an id that it sends back, in a header or in the
    query, of which the header counts; with what is new, if it sends none. Raises Malformed."""
    history = log.hub.history
    given = request.headers.get("last-event-id") or _read_single(request.query, LAST_ID)
    if not given:
        return history.new()
    if given == EARLIEST:
        return history.whole()
    asked = read_event_id(given)
    if asked is None:
        return history.new(gap=True)
    await log.reach(asked)
    return history.after(asked)


def _refuse_unknown(request: Request, known: Sequence[str]) -> None:
    refuse_tokens(request)  # which says more of them
    for name in request.query:
        if name not in known:
            allowed = ", ".join(f'"{one}"' for one in known)
            raise Malformed(f"there is no parameter {shown(name)} here; expected {allowed}")


def _read_single(query: Query, name: str) -> str | None:
    values = query.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise Malformed(f'expected one "{name}", received {len(values)}')
    return values[0]
