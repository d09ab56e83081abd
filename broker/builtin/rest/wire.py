"""What clients send: a struct for each body and each query string, with the limits of its fields.

What a type cannot say is in two annotations that `explain` knows as well: `exactly_one` names
alternatives of a struct, and `Meta(extra={"refuse": ...})` holds a function that says what is
wrong with a value that has the right type.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from broker import QueueName, Seconds, StateFilter, limits, read_receipt

MAX_ID = limits.MAX_INT64
MAX_MESSAGES = limits.MAX_BATCH_MESSAGES
MAX_HEADERS_BYTES = limits.MAX_HEADERS_BYTES
YEAR = limits.YEAR
PRINTABLE = limits.PRINTABLE_PATTERN


def oversize(headers: dict[str, str]) -> str | None:
    """Say what is wrong with the size of a message's headers, if something is."""
    size = sum(len(name.encode()) + len(value.encode()) for name, value in headers.items())
    if size <= MAX_HEADERS_BYTES:
        return None
    return f"names and values are {size} bytes, at most {MAX_HEADERS_BYTES} are allowed"


def unreadable(receipt: str) -> str | None:
    """Say what is wrong with a receipt, if something is."""
    try:
        read_receipt(receipt)
    except ValueError as error:
        return f"is {error}"
    return None


ONE_CONTENT = Meta(
    extra_json_schema={
        "oneOf": [{"required": ["content"]}, {"required": ["content_base64"]}],
    }
)
"""What `exactly_one` says of a message, in the words of JSON Schema."""

Base64 = Annotated[
    bytes,
    Meta(
        extra_json_schema={
            "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)?$"
        }
    ),
]
Label = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.MAX_LABEL,
        pattern=PRINTABLE,
        description="1 to 255 printable characters",
    ),
]
Text = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.MAX_TEXT,
        pattern=PRINTABLE,
        description=f"1 to {limits.MAX_TEXT} printable characters",
    ),
]
HeaderValue = Annotated[
    str,
    Meta(
        max_length=MAX_HEADERS_BYTES,
        pattern=PRINTABLE,
        description=f"at most {MAX_HEADERS_BYTES} printable characters",
    ),
]
Headers = Annotated[
    dict[Label, HeaderValue], Meta(max_length=limits.MAX_HEADERS, extra={"refuse": oversize})
]
ReceiptText = Annotated[
    str,
    Meta(
        max_length=512,
        description="a receipt",
        extra={"refuse": unreadable},
        extra_json_schema={"format": "receipt", "pattern": "^[A-Za-z0-9_-]{39,}$"},
    ),
]
Priority = Annotated[int, Meta(ge=0, le=limits.MAX_PRIORITY)]
Ttl = Annotated[int, Meta(gt=0, le=YEAR)] | Annotated[float, Meta(gt=0, le=YEAR)]
LeaseSeconds = Annotated[int, Meta(ge=1, le=limits.MAX_LEASE_SECONDS)]
Wait = (
    Annotated[int, Meta(ge=0, le=limits.MAX_WAIT_SECONDS)]
    | Annotated[float, Meta(ge=0, le=limits.MAX_WAIT_SECONDS)]
)
PageSize = Annotated[int, Meta(ge=1, le=limits.MAX_PAGE)]


class Fields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Base of everything that clients send; as it is, of what takes nothing."""

    exactly_one: ClassVar[tuple[str, ...]] = ()


class QueuePath(Fields, frozen=True, kw_only=True):
    """The part of a path that says which queue is meant."""

    queue: Annotated[QueueName, Meta(examples=["orders"])]
    """The name of the queue."""


class MessagePath(Fields, frozen=True, kw_only=True):
    """The part of a path that says which message is meant."""

    id: Annotated[int, Meta(ge=1, le=MAX_ID, examples=[7])]
    """The id of the message."""


class OutgoingMessage(Fields, frozen=True, kw_only=True):
    """A message to be published; null means the same as nothing."""

    exactly_one: ClassVar[tuple[str, ...]] = ("content", "content_base64")

    content: str | UnsetType = UNSET
    """The body, as text."""
    content_base64: Base64 | UnsetType = UNSET
    """The body, as base64, instead of `content`."""
    content_type: Label | None = None
    """What the body is, a media type; null: `text/plain; charset=utf-8` for text,
    `application/octet-stream` for base64."""
    headers: Headers = {}
    """What goes along with the body: texts by name."""
    priority: Priority = 4
    """Higher goes first."""
    delay: Seconds | None = None
    """Seconds until it can be leased; null: as the queue's policy says."""
    ttl: Ttl | None = None
    """Seconds until it is dead-lettered or removed; null: as the queue's policy says."""
    group: Label | None = None
    """Messages of a group are leased one at a time, in their order; null: it is in none."""
    dedup_key: Label | None = None
    """A message with the same key within the queue's `dedup_window` is not stored; null: what the
    header `Idempotency-Key` says."""

    def __post_init__(self) -> None:
        if (self.content is UNSET) is (self.content_base64 is UNSET):
            raise ValueError("expected exactly one of content and content_base64")
        if self.headers and oversize(self.headers):
            raise ValueError("the headers are too large")


class AddressedMessage(OutgoingMessage, frozen=True, kw_only=True):
    """A message to be published along with a settlement."""

    queue: QueueName
    """The queue that it is for."""


OneOutgoing = Annotated[OutgoingMessage, ONE_CONTENT]
OneAddressed = Annotated[AddressedMessage, ONE_CONTENT]


class Batch(Fields, frozen=True, kw_only=True):
    """Messages to be published to one queue, all or none."""

    messages: Annotated[list[OneOutgoing], Meta(min_length=1, max_length=MAX_MESSAGES)]
    """In the order in which they are stored."""


class DraftOptions(Fields, frozen=True, kw_only=True):
    """The query string of a publish whose body describes the message."""

    raw: bool = False
    """Whether a body of JSON is the message's body as it is, not what describes a message."""


class RawOptions(DraftOptions, frozen=True, kw_only=True):
    """The query string of a publish whose body is the message's body."""

    priority: Priority = 4
    """Higher goes first."""
    delay: Seconds | None = None
    """Seconds until it can be leased; null: as the queue's policy says."""
    ttl: Ttl | None = None
    """Seconds until it is dead-lettered or removed; null: as the queue's policy says."""
    group: Label | None = None
    """Messages of a group are leased one at a time, in their order; null: it is in none."""
    dedup_key: Label | None = None
    """A message with the same key within the queue's `dedup_window` is not stored; null: what the
    header `Idempotency-Key` says."""


class PublishHeaders(Fields, frozen=True, kw_only=True):
    """The HTTP headers that every publish of one message pays attention to."""

    idempotency_key: Label | None = msgspec.field(default=None, name="Idempotency-Key")
    """The `dedup_key` of a message that has none."""


class RawHeaders(PublishHeaders, frozen=True, kw_only=True):
    """The HTTP headers of a publish whose body is the message's body."""

    content_type: Label | None = msgspec.field(default=None, name="Content-Type")
    """What the body is."""


class LeaseOptions(Fields, frozen=True, kw_only=True):
    """How many messages to lease, how long to wait for the first, and for how long."""

    limit: Annotated[int, Meta(ge=1, le=limits.MAX_LEASE_MESSAGES)] = 1
    """At most so many messages."""
    wait: Wait = 0
    """Seconds to wait for a message if there is none."""
    lease_seconds: LeaseSeconds | None = None
    """How long the leases last; null: as the queue's policy says."""


class ConsumeOptions(Fields, frozen=True, kw_only=True):
    """The query string of a lease of one message."""

    wait: Wait = 0
    """Seconds to wait for a message if there is none."""
    lease_seconds: LeaseSeconds | None = None
    """How long the lease lasts; null: as the queue's policy says."""


class StreamOptions(Fields, frozen=True, kw_only=True):
    """The query string of a stream of leases."""

    prefetch: Annotated[int, Meta(ge=1, le=limits.MAX_PREFETCH)] = 16
    """How many messages may be unsettled at one time."""
    lease_seconds: LeaseSeconds | None = None
    """How long each lease lasts; null: as the queue's policy says."""


class BrowseOptions(Fields, frozen=True, kw_only=True):
    """The query string of a look into a queue; `state` may repeat, or be a list with commas."""

    state: list[StateFilter] = []
    """Only messages in one of these states; none: in any."""
    after: Annotated[int, Meta(ge=0, le=MAX_ID)] = 0
    """Only messages whose id is greater."""
    limit: PageSize = 100
    """At most so many."""
    q: Text | None = None
    """Only messages whose body contains this text."""
