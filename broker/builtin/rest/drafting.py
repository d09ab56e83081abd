"""From what a client sends to a draft that the broker can publish."""

from __future__ import annotations

from msgspec import UNSET

from broker import Draft, Invalid, Request, is_json, limits
from broker.builtin.rest.reading import read_headers, read_query
from broker.builtin.rest.wire import OutgoingMessage, PublishHeaders, RawHeaders, RawOptions


def draft_message(message: OutgoingMessage, queue: str, *, dedup_key: str | None = None) -> Draft:
    """Return the draft of a message that came as JSON; `dedup_key` is for one without its own."""
    if message.content is not UNSET:
        body, content_type = message.content.encode(), limits.TEXT_CONTENT_TYPE
    else:
        assert message.content_base64 is not UNSET, "the wire type demands one of them"
        body, content_type = message.content_base64, limits.BINARY_CONTENT_TYPE
    return Draft(
        queue=queue,
        body=body,
        content_type=message.content_type or content_type,
        headers=message.headers,
        priority=message.priority,
        delay=message.delay,
        ttl=message.ttl,
        group=message.group,
        dedup_key=message.dedup_key or dedup_key,
    )


def is_raw(request: Request) -> bool:
    """Tell whether a request's body is the message's: of JSON, only if the query says `raw`."""
    said = request.query.get("raw", [""])[0]
    return said.lower() in _TRUE or not is_json(request.headers.get("content-type"))


_TRUE = ("true", "1")


def draft_raw(request: Request, queue: str) -> Draft:
    """Return the draft of a message whose body is the request's."""
    options: RawOptions
    headers: RawHeaders
    options, headers = Invalid.gather(
        lambda: read_query(request, RawOptions), lambda: read_headers(request, RawHeaders)
    )
    return Draft(
        queue=queue,
        body=request.body,
        content_type=headers.content_type or limits.BINARY_CONTENT_TYPE,
        priority=options.priority,
        delay=options.delay,
        ttl=options.ttl,
        group=options.group,
        dedup_key=options.dedup_key or headers.idempotency_key,
    )


def read_idempotency_key(request: Request) -> str | None:
    """Return the dedup_key of a message that has none of its own."""
    if "idempotency-key" not in request.headers:
        return None
    return read_headers(request, PublishHeaders).idempotency_key
