"""Messages: as they are written, as they are stored, and as they are looked at."""

from __future__ import annotations

from typing import Literal

import msgspec

from broker.limits import BINARY_CONTENT_TYPE, DEFAULT_PRIORITY

State = Literal["pending", "processing", "processed", "failed"]
"""What is stored. A processing message whose lease is over reads as pending."""

StateFilter = Literal["pending", "scheduled", "processing", "processed", "failed"]
"""What can be asked for: `scheduled` is the part of pending that is not visible yet."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A message as its sender writes it; None leaves it to the queue's policy."""

    queue: str
    """The name of the queue that it is for."""
    body: bytes
    """What is delivered as it came; the broker never looks into it."""
    content_type: str = BINARY_CONTENT_TYPE
    """What the body is, a media type; it is told to whoever gets it."""
    headers: dict[str, str] = {}
    """What the sender tells beside the body."""
    priority: int = DEFAULT_PRIORITY
    """0 to 9, higher first."""
    delay: float | None = None
    """Seconds until it can be leased."""
    ttl: float | None = None
    """Seconds until it is not worth delivering any more, counted from now."""
    group: str | None = None
    """Messages of one group are leased one after the other, in their order."""
    dedup_key: str | None = None
    """A second message with the same key within the queue's `dedup_window` is not stored."""


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way into a queue; the core has filled in the policy's defaults."""

    queue: str
    """The name of the queue that it is for."""
    body: bytes
    """What is to be delivered as it is."""
    content_type: str = BINARY_CONTENT_TYPE
    """What the body is, a media type."""
    headers: dict[str, str] = {}
    """What the sender tells beside the body."""
    priority: int = DEFAULT_PRIORITY
    """0 to 9, higher first."""
    group: str | None = None
    """The group in which it is leased in order; None: it is in none."""
    dedup_key: str | None = None
    """What makes it the same as an earlier message; None: it is always a new one."""
    visible_at: int = 0
    """When it can be leased; at or before `now`: at once."""
    expires_at: int | None = None
    """When its ttl is over; None: never."""


class PublishResult(msgspec.Struct, frozen=True):
    """What became of one message that was published."""

    id: int
    """That of the stored message; of the first one, if this was a duplicate."""
    duplicate: bool = False
    """Whether nothing was stored, because its `dedup_key` was used already."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A stored message; all times are milliseconds UTC."""

    id: int
    """Positive, and larger than that of every message published before."""
    queue: str
    """The name of the queue where it is now."""
    queue_id: int
    """The id of that queue."""
    state: State
    """How far it is in its life."""
    body: bytes
    """As it was published."""
    content_type: str
    """The media type of the body, as its sender named it."""
    headers: dict[str, str]
    """What its sender told beside the body."""
    priority: int
    """0 to 9, higher first."""
    group: str | None
    """The group in which it is leased in order."""
    dedup_key: str | None
    """What it was published with to be recognised again."""
    enqueued_at: int
    """When it was published."""
    updated_at: int
    """When something was done to it last."""
    visible_at: int
    """When it can be leased; while it is leased, when the lease ends."""
    expires_at: int | None
    """When its ttl is over; None: it does not expire."""
    delivery_count: int
    """How often it was leased and not released."""
    first_delivered_at: int | None
    """When the first of those leases began; None: there was none."""
    finished_at: int | None
    """When it was processed or failed; None: it is neither."""
    reason: str | None
    """Why it failed, expired or was retried, the latest of these."""
    origin_queue: str | None
    """The queue that it was dead-lettered from; None: it was not."""
    leased_by: str | None
    """The subject of whoever leased it; None while it is pending."""


class MessageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages, in order of id; all conditions count."""

    ids: tuple[int, ...] | None = None
    """These only; None: whatever their id."""
    queue: str | None = None
    """Those in this queue; None: wherever they are."""
    states: tuple[StateFilter, ...] = ()
    """Empty: every state."""
    after: int = 0
    """Those whose id is greater than this."""
    limit: int = 100
    """At most so many."""
    text: str | None = None
    """Only bodies that contain these characters, as UTF-8."""
    finished_before: int | None = None
    """Only processed and failed ones, whose `finished_at` is less than this."""


class Page(msgspec.Struct, frozen=True):
    """One page of messages."""

    messages: list[Message]
    """In order of id."""
    after: int | None = None
    """What a query continues with; None: there are no more."""


class BulkResult(msgspec.Struct, frozen=True, kw_only=True):
    """A message to which bulk did what was asked."""

    id: int
    """That of the message."""
    queue: str
    """Where it was deleted; or where it is now that it was redriven."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a message's life in a queue."""

    id: int
    """That of the message."""
    queue: str
    """Where it was."""
    how: Literal["failed", "expired"]
    """`failed`: it was rejected, or delivered too often. `expired`: its ttl passed."""
    reason: str
    """What a person reads of why."""
    moved_to: str | None = None
    """The queue where it lives on, as a dead letter."""


class Maintenance(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of maintain did, and when it has work again."""

    lapsed: dict[str, int] = {}
    """How many leases were noticed to be over, by queue."""
    ended: tuple[Ended, ...] = ()
    """The messages whose life in a queue this call ended."""
    retired: int = 0
    """How many were removed because their retention is over."""
    next_due: int | None = None
    """When the next lease, ttl or retention ends; at or before `now`: call again at once."""
