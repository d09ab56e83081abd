"""What clients send: a struct for each body and each query string, with the limits of its fields.

What a type cannot say is in two annotations that `explain` knows as well: `exactly_one` names
alternatives of a struct, and `Meta(extra={"refuse": ...})` holds a function that says what is
wrong with a value that has the right type.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from broker import QueueName, QueuePolicy, Seconds, StateFilter, limits, read_receipt

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
Extension = (
    Annotated[int, Meta(ge=1, le=limits.MAX_LEASE_SECONDS)]
    | Annotated[float, Meta(ge=1, le=limits.MAX_LEASE_SECONDS)]
)
Wait = (
    Annotated[int, Meta(ge=0, le=limits.MAX_WAIT_SECONDS)]
    | Annotated[float, Meta(ge=0, le=limits.MAX_WAIT_SECONDS)]
)
PageSize = Annotated[int, Meta(ge=1, le=limits.MAX_PAGE)]


QueueTag = Annotated[str, Meta(pattern=r"^(\*|\"v[1-9][0-9]{0,17}\")\Z")]


class Fields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Base of everything that clients send; as it is, of what takes nothing."""

    exactly_one: ClassVar[tuple[str, ...]] = ()


class QueuePath(Fields, frozen=True, kw_only=True):
    """The part of a path that says which queue is meant."""

    queue: QueueName


class MessagePath(Fields, frozen=True, kw_only=True):
    """The part of a path that says which message is meant."""

    id: Annotated[int, Meta(ge=1, le=MAX_ID)]


class NewQueue(QueuePolicy, frozen=True, kw_only=True):
    """A queue to be made: its name, and whatever of its policy is not the default."""

    name: QueueName


class OutgoingMessage(Fields, frozen=True, kw_only=True):
    """A message to be published; null means the same as nothing."""

    exactly_one: ClassVar[tuple[str, ...]] = ("content", "content_base64")

    content: str | UnsetType = UNSET
    content_base64: Base64 | UnsetType = UNSET
    content_type: Label | None = None
    headers: Headers = {}
    priority: Priority = 4
    delay: Seconds | None = None
    ttl: Ttl | None = None
    group: Label | None = None
    dedup_key: Label | None = None

    def __post_init__(self) -> None:
        if (self.content is UNSET) is (self.content_base64 is UNSET):
            raise ValueError("expected exactly one of content and content_base64")
        if self.headers and oversize(self.headers):
            raise ValueError("the headers are too large")


class AddressedMessage(OutgoingMessage, frozen=True, kw_only=True):
    """A message to be published along with a settlement."""

    queue: QueueName


OneOutgoing = Annotated[OutgoingMessage, ONE_CONTENT]
OneAddressed = Annotated[AddressedMessage, ONE_CONTENT]


class Batch(Fields, frozen=True, kw_only=True):
    """Messages to be published to one queue, all or none."""

    messages: Annotated[list[OneOutgoing], Meta(min_length=1, max_length=MAX_MESSAGES)]


class DraftOptions(Fields, frozen=True, kw_only=True):
    """The query string of a publish whose body describes the message."""

    raw: bool = False


class RawOptions(DraftOptions, frozen=True, kw_only=True):
    """The query string of a publish whose body is the message's body."""

    priority: Priority = 4
    delay: Seconds | None = None
    ttl: Ttl | None = None
    group: Label | None = None
    dedup_key: Label | None = None


class PublishHeaders(Fields, frozen=True, kw_only=True):
    """The HTTP headers that every publish of one message pays attention to."""

    idempotency_key: Label | None = msgspec.field(default=None, name="Idempotency-Key")


class RawHeaders(PublishHeaders, frozen=True, kw_only=True):
    """The HTTP headers of a publish whose body is the message's body."""

    content_type: Label | None = msgspec.field(default=None, name="Content-Type")


class Creating(Fields, frozen=True, kw_only=True):
    """The HTTP headers by which a request depends on how a queue is."""

    if_match: QueueTag | None = msgspec.field(default=None, name="If-Match")
    if_none_match: Literal["*"] | None = msgspec.field(default=None, name="If-None-Match")


class Changing(Fields, frozen=True, kw_only=True):
    """The same, where the queue must be there."""

    if_match: QueueTag | None = msgspec.field(default=None, name="If-Match")


class LeaseOptions(Fields, frozen=True, kw_only=True):
    """How many messages to lease, how long to wait for the first, and for how long."""

    limit: Annotated[int, Meta(ge=1, le=limits.MAX_LEASE_MESSAGES)] = 1
    wait: Wait = 0
    lease_seconds: LeaseSeconds | None = None


class ConsumeOptions(Fields, frozen=True, kw_only=True):
    """The query string of a lease of one message."""

    wait: Wait = 0
    lease_seconds: LeaseSeconds | None = None


class StreamOptions(Fields, frozen=True, kw_only=True):
    """The query string of a stream of leases."""

    prefetch: Annotated[int, Meta(ge=1, le=limits.MAX_PREFETCH)] = 16
    lease_seconds: LeaseSeconds | None = None


class Item(Fields, frozen=True, kw_only=True):
    """One lease that is settled; a bare receipt says the same."""

    receipt: ReceiptText


class RetryItem(Item, frozen=True, kw_only=True):
    """One lease whose message goes back; null: the queue's backoff."""

    delay: Seconds | None = None
    reason: Text | None = None


class RejectItem(Item, frozen=True, kw_only=True):
    """One lease whose message fails."""

    reason: Text | None = None


class ExtendItem(Item, frozen=True, kw_only=True):
    """One lease that goes on, for `seconds` from now; null: the queue's lease_seconds."""

    seconds: Extension | None = None


class Settlements(Fields, frozen=True, kw_only=True):
    """What becomes of many leases, and what is published in the same transaction."""

    ack: Annotated[list[ReceiptText | Item], Meta(max_length=MAX_MESSAGES)] = []
    retry: Annotated[list[ReceiptText | RetryItem], Meta(max_length=MAX_MESSAGES)] = []
    release: Annotated[list[ReceiptText | Item], Meta(max_length=MAX_MESSAGES)] = []
    reject: Annotated[list[ReceiptText | RejectItem], Meta(max_length=MAX_MESSAGES)] = []
    extend: Annotated[list[ReceiptText | ExtendItem], Meta(max_length=MAX_MESSAGES)] = []
    publish: Annotated[list[OneAddressed], Meta(max_length=MAX_MESSAGES)] = []


class OneReceipt(Fields, frozen=True, kw_only=True):
    """Which lease of the message is meant; null: whatever lease it has."""

    receipt: ReceiptText | None = None


class Nack(OneReceipt, frozen=True, kw_only=True):
    """Why a message was not processed, and when it may be tried again."""

    delay: Seconds | None = None
    reason: Text | None = None


class Extend(OneReceipt, frozen=True, kw_only=True):
    """For how many seconds from now a lease goes on; null: the queue's lease_seconds."""

    seconds: Extension | None = None


class NackOptions(Fields, frozen=True, kw_only=True):
    """The query string of a nack."""

    requeue: bool = False


class ListOptions(Fields, frozen=True, kw_only=True):
    """The query string of the list of queues."""

    limit: PageSize = 100
    after: QueueName | None = None
    prefix: Annotated[str, Meta(max_length=255, pattern=r"^[A-Za-z0-9._-]*\Z")] = ""


class BrowseOptions(Fields, frozen=True, kw_only=True):
    """The query string of a look into a queue; `state` may repeat, or be a list with commas."""

    state: list[StateFilter] = []
    after: Annotated[int, Meta(ge=0, le=MAX_ID)] = 0
    limit: PageSize = 100
    q: Text | None = None


class Purge(Fields, frozen=True, kw_only=True):
    """Which messages of a queue are removed; `older_than` counts since they were finished."""

    states: Annotated[list[StateFilter], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["pending"]
    )
    older_than: Seconds | None = None


ENDED = {"type": "array", "items": {"enum": ["processed", "failed"]}}
AgedPurge = Annotated[
    Purge,
    Meta(
        extra_json_schema={
            "if": {"properties": {"older_than": {"type": "number"}}, "required": ["older_than"]},
            "then": {"properties": {"states": ENDED}, "required": ["states"]},
        }
    ),
]
"""A purge, and what JSON Schema can say of it: only what has ended has an age."""
