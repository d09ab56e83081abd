"""What clients send of leases that are over."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from broker import Seconds, limits
from broker.builtin.rest.wire import MAX_MESSAGES, Fields, OneAddressed, ReceiptText, Text

Extension = (
    Annotated[int, Meta(ge=1, le=limits.MAX_LEASE_SECONDS)]
    | Annotated[float, Meta(ge=1, le=limits.MAX_LEASE_SECONDS)]
)


class Item(Fields, frozen=True, kw_only=True):
    """One lease that is settled; a bare receipt says the same."""

    receipt: ReceiptText
    """The proof of the lease, which came with the message."""


class RetryItem(Item, frozen=True, kw_only=True):
    """One lease whose message goes back; null: the queue's backoff."""

    delay: Seconds | None = None
    """Seconds until the message can be leased again; null: the queue's backoff."""
    reason: Text | None = None
    """Why, for people."""


class RejectItem(Item, frozen=True, kw_only=True):
    """One lease whose message fails."""

    reason: Text | None = None
    """Why, for people."""


class ExtendItem(Item, frozen=True, kw_only=True):
    """One lease that goes on, for `seconds` from now; null: the queue's lease_seconds."""

    seconds: Extension | None = None
    """For how long from now; null: the queue's `lease_seconds`."""


class Settlements(Fields, frozen=True, kw_only=True):
    """What becomes of many leases, and what is published in the same transaction."""

    ack: Annotated[list[ReceiptText | Item], Meta(max_length=MAX_MESSAGES)] = field(
        default_factory=list
    )
    """Whose messages are done."""
    retry: Annotated[list[ReceiptText | RetryItem], Meta(max_length=MAX_MESSAGES)] = field(
        default_factory=list
    )
    """Whose messages shall be tried again, which counts as a delivery."""
    release: Annotated[list[ReceiptText | Item], Meta(max_length=MAX_MESSAGES)] = field(
        default_factory=list
    )
    """Whose messages go back as if they had not been delivered."""
    reject: Annotated[list[ReceiptText | RejectItem], Meta(max_length=MAX_MESSAGES)] = field(
        default_factory=list
    )
    """Whose messages failed for good."""
    extend: Annotated[list[ReceiptText | ExtendItem], Meta(max_length=MAX_MESSAGES)] = field(
        default_factory=list
    )
    """Which go on."""
    publish: Annotated[list[OneAddressed], Meta(max_length=MAX_MESSAGES)] = field(
        default_factory=list
    )
    """What is published with all of this, or nothing of it happens."""


class OneReceipt(Fields, frozen=True, kw_only=True):
    """Which lease of the message is meant; null: whatever lease it has."""

    receipt: ReceiptText | None = None
    """The proof of the lease; null: whatever lease the message has."""


class Nack(OneReceipt, frozen=True, kw_only=True):
    """Why a message was not processed, and when it may be tried again."""

    delay: Seconds | None = None
    """Seconds until the message can be leased again, with `requeue=true`; null: the queue's
    backoff."""
    reason: Text | None = None
    """Why, for people."""


class Extend(OneReceipt, frozen=True, kw_only=True):
    """For how many seconds from now a lease goes on; null: the queue's lease_seconds."""

    seconds: Extension | None = None
    """For how long from now; null: the queue's `lease_seconds`."""


class NackOptions(Fields, frozen=True, kw_only=True):
    """The query string of a nack."""

    requeue: bool = False
    """Whether it shall be tried again; otherwise it failed for good."""
