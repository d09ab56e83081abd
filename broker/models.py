"""The value objects that cross boundaries: frozen, and the same for every transport and storage.

Times are int milliseconds UTC since 1970; durations in a policy are seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from broker.limits import (
    BINARY_CONTENT_TYPE,
    DEFAULT_PRIORITY,
    MAX_INT64,
    MAX_LEASE_SECONDS,
    MAX_MESSAGE_BYTES,
    QUEUE_NAME_PATTERN,
    YEAR,
)

State = Literal["pending", "processing", "processed", "failed"]
"""What is stored. A processing message whose lease is over reads as pending."""

StateFilter = Literal["pending", "scheduled", "processing", "processed", "failed"]
"""What can be asked for: `scheduled` is the part of pending that is not visible yet."""

SettleKind = Literal["ack", "retry", "release", "reject", "extend"]
SettleOutcome = Literal["ok", "not_found", "stale", "expired", "wrong_state"]

QueueName = Annotated[str, Meta(pattern=QUEUE_NAME_PATTERN)]
Seconds = Annotated[int, Meta(ge=0, le=YEAR)] | Annotated[float, Meta(ge=0, le=YEAR)]
Count = Annotated[int, Meta(ge=1, le=MAX_INT64)]


class QueuePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a queue treats its messages; each default is what a queue made without options gets."""

    lease_seconds: Annotated[int, Meta(ge=1, le=MAX_LEASE_SECONDS)] = 30
    max_deliveries: Annotated[int, Meta(ge=1, le=1000)] | None = 10
    """A message is delivered at most this often, then it fails; None: no limit."""
    retry_base: Seconds = 0
    """First backoff: retry n waits `retry_base * 2**(n - 1)`, at most `retry_max`."""
    retry_max: Seconds = 600
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.2
    """A backoff is shortened by a random part of itself, at most this share."""
    dead_letter_queue: QueueName | None = None
    """Where failed messages go; None: they stay, as `failed`."""
    dedup_window: Annotated[int, Meta(ge=0, le=86_400)] = 300
    default_delay: Seconds = 0
    default_ttl: Seconds | None = None
    max_messages: Count | None = None
    """How many pending messages (visible or not) are taken; leased ones do not count."""
    max_bytes: Count | None = None
    """How many bytes of pending bodies are taken; leased ones do not count."""
    overflow: Literal["reject", "drop_oldest"] = "reject"
    max_in_flight: Count | None = None
    """How many messages may be leased at one time."""
    max_message_bytes: Annotated[int, Meta(ge=1, le=MAX_MESSAGE_BYTES)] = 1024 * 1024
    retain_processed: Annotated[int, Meta(ge=0, le=10 * YEAR)] | None = 24 * 3600
    """How long an acked message can still be looked at; 0: removed at the ack; None: for ever."""
    retain_failed: Annotated[int, Meta(ge=0, le=10 * YEAR)] | None = 14 * 24 * 3600
    ordering: Literal["priority", "group_fifo"] = "priority"
    """`priority`: higher priority first, then id. `group_fifo`: id alone. In a group only the
    head can be leased, under both."""
    paused: bool = False


class QueueSpec(msgspec.Struct, frozen=True):
    """What a queue shall be."""

    name: str
    policy: QueuePolicy = msgspec.field(default_factory=QueuePolicy)


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue as it is stored; `version` grows with each change of it."""

    id: int
    name: str
    policy: QueuePolicy
    version: int
    created_at: int
    updated_at: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Messages by state; `scheduled` is a part of `pending`, lapsed leases count as pending."""

    pending: int = 0
    processing: int = 0
    processed: int = 0
    failed: int = 0
    scheduled: int = 0

    @property
    def total(self) -> int:
        """Count every message that the queue holds."""
        return self.pending + self.processing + self.processed + self.failed


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a queue since it was made; these only grow."""

    published: int = 0
    delivered: int = 0
    acked: int = 0
    retried: int = 0
    released: int = 0
    failed: int = 0
    dead_lettered: int = 0
    redriven: int = 0
    lapsed: int = 0
    expired: int = 0
    """Removed or dead-lettered because their ttl passed."""
    deleted: int = 0
    """Removed by an explicit delete or purge."""
    dropped: int = 0
    """Removed by `overflow = drop_oldest`."""
    retired: int = 0
    """Removed after their retention."""


class QueueStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A queue and what it holds, in time that does not grow with its length."""

    queue: Queue
    counts: Counts
    totals: Totals
    bytes: int
    """Bytes of the bodies of all messages that the queue holds."""
    oldest_at: int | None
    """When the oldest message that could be leased now was published."""


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """All queues at one moment, by name."""

    at: int
    queues: tuple[QueueStatus, ...]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """All queues in one set of numbers: how many, what they hold, what happened in them."""

    queues: int
    counts: Counts
    totals: Totals


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A message as its sender writes it; None leaves it to the queue's policy."""

    queue: str
    body: bytes
    content_type: str = BINARY_CONTENT_TYPE
    headers: dict[str, str] = {}
    priority: int = DEFAULT_PRIORITY
    """0 to 9, higher first."""
    delay: float | None = None
    """Seconds until it can be leased."""
    ttl: float | None = None
    """Seconds until it is not worth delivering any more, counted from now."""
    group: str | None = None
    dedup_key: str | None = None


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way into a queue; the core has filled in the policy's defaults."""

    queue: str
    body: bytes
    content_type: str = BINARY_CONTENT_TYPE
    headers: dict[str, str] = {}
    priority: int = DEFAULT_PRIORITY
    group: str | None = None
    dedup_key: str | None = None
    visible_at: int = 0
    """When it can be leased; at or before `now`: at once."""
    expires_at: int | None = None


class PublishResult(msgspec.Struct, frozen=True):
    """The id of a published message; of the first one, if it was a duplicate."""

    id: int
    duplicate: bool = False


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A stored message. `reason` says why it failed, `origin_queue` whence it was dead-lettered."""

    id: int
    queue: str
    queue_id: int
    state: State
    body: bytes
    content_type: str
    headers: dict[str, str]
    priority: int
    group: str | None
    dedup_key: str | None
    enqueued_at: int
    updated_at: int
    visible_at: int
    expires_at: int | None
    delivery_count: int
    first_delivered_at: int | None
    finished_at: int | None
    reason: str | None
    origin_queue: str | None
    leased_by: str | None


class Lease(msgspec.Struct, frozen=True):
    """A leased message and the token that settles it; the lease ends at `message.visible_at`."""

    message: Message
    token: bytes
    """16 random bytes, fresh at each lease."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a message's life in a queue.

    `failed`: it was rejected, or delivered too often. `expired`: its ttl passed.
    """

    id: int
    queue: str
    """Where it was."""
    how: Literal["failed", "expired"]
    reason: str
    moved_to: str | None = None
    """The queue where it lives on, as a dead letter."""


class LeaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of lease took, in lease order."""

    leases: list[Lease]
    ended: tuple[Ended, ...] = ()
    """What it came across that could not be leased any more."""
    paused: bool = False
    next_visible_at: int | None = None
    """When the next message becomes visible by itself, if one is scheduled or leased."""


class Settle(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on one lease."""

    id: int
    queue: str
    """The queue that the caller says the message is in; the store compares it."""
    kind: SettleKind
    token: bytes | None = None
    """None settles whatever lease there is, without fencing."""
    visible_at: int | None = None
    """For retry: when it is visible again. For extend: the new end of the lease."""
    reason: str | None = None


class SettleResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one operation.

    `not_found`: no such message. `stale`: the token is not that of the newest lease, or the
    message is elsewhere. `expired`: the lease lapsed, so only an ack is still taken.
    `wrong_state`: the message is not leased.
    """

    id: int
    outcome: SettleOutcome
    state: State | None = None
    """The state after the operation; None when the message is gone or was not touched."""
    queue: str | None = None
    """Where the message is now, if it is somewhere: a dead letter moved."""
    visible_at: int | None = None
    """For retry and extend: what was set."""
    reason: str | None = None
    """Why the message failed, if it did."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one call of settle: of each operation, and of each message to publish."""

    results: list[SettleResult]
    published: list[PublishResult] = []
    """Empty also if nothing was published because an operation is not `ok`."""


class MessageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages: by ids, or by queue, after an id, in order of id; all conditions count."""

    ids: tuple[int, ...] | None = None
    queue: str | None = None
    states: tuple[StateFilter, ...] = ()
    """Empty: every state."""
    after: int = 0
    limit: int = 100
    text: str | None = None
    """Only bodies that contain these characters, as UTF-8."""
    finished_before: int | None = None
    """Only processed and failed ones, whose `finished_at` is less than this."""


class Page(msgspec.Struct, frozen=True):
    """One page of messages, in order of id; `after` continues it, None ends it."""

    messages: list[Message]
    after: int | None = None


class BulkResult(msgspec.Struct, frozen=True, kw_only=True):
    """A message to which bulk did what was asked."""

    id: int
    queue: str
    """Where it was deleted; or where it is now that it was redriven."""


class Maintenance(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of maintain did, and when it has work again."""

    lapsed: dict[str, int] = {}
    """How many leases were noticed to be over, by queue."""
    ended: tuple[Ended, ...] = ()
    retired: int = 0
    next_due: int | None = None
    """When the next lease, ttl or retention ends; at or before `now`: call again at once."""


class Delivery(msgspec.Struct, frozen=True):
    """A leased message as a consumer gets it; the lease ends at `message.visible_at`."""

    message: Message
    receipt: str


class Deliveries(msgspec.Struct, frozen=True):
    """What one lease call brought; `paused` tells why there may be nothing."""

    deliveries: list[Delivery]
    paused: bool = False
