"""Queues: what one shall be, what it is, and what it holds."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from broker.limits import (
    MAX_INT64,
    MAX_LEASE_SECONDS,
    MAX_MESSAGE_BYTES,
    QUEUE_NAME_PATTERN,
    YEAR,
)

QueueName = Annotated[str, Meta(pattern=QUEUE_NAME_PATTERN)]
"""A name that a queue may have: `broker.limits.QUEUE_NAME_PATTERN`."""

Seconds = Annotated[int, Meta(ge=0, le=YEAR)] | Annotated[float, Meta(ge=0, le=YEAR)]
"""A duration of a policy, at most a leap year."""

Count = Annotated[int, Meta(ge=1, le=MAX_INT64)]


class QueuePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """How a queue treats its messages; each default is what a queue made without options gets."""

    lease_seconds: Annotated[int, Meta(ge=1, le=MAX_LEASE_SECONDS)] = 30
    """How long a lease lasts that was asked for without a time of its own."""
    max_deliveries: Annotated[int, Meta(ge=1, le=1000)] | None = 10
    """A message is delivered at most this often, then it fails; None: no limit."""
    retry_base: Seconds = 0
    """First backoff: retry n waits `retry_base * 2**(n - 1)`, at most `retry_max`."""
    retry_max: Seconds = 600
    """The longest backoff, in seconds."""
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.2
    """A backoff is shortened by a random part of itself, at most this share."""
    dead_letter_queue: QueueName | None = None
    """Where failed messages go; None: they stay, as `failed`."""
    dedup_window: Annotated[int, Meta(ge=0, le=86_400)] = 300
    """How many seconds a message with the same `dedup_key` is a duplicate of the first one."""
    default_delay: Seconds = 0
    """The delay of messages that come without one, in seconds."""
    default_ttl: Seconds | None = None
    """The ttl of messages that come without one, in seconds; None: they do not expire."""
    max_messages: Count | None = None
    """How many pending messages (visible or not) are taken; leased ones do not count."""
    max_bytes: Count | None = None
    """How many bytes of pending bodies are taken; leased ones do not count."""
    overflow: Literal["reject", "drop_oldest"] = "reject"
    """What becomes of a publish to a full queue: it is QueueFull, or the oldest ones make room."""
    max_in_flight: Count | None = None
    """How many messages may be leased at one time."""
    max_message_bytes: Annotated[int, Meta(ge=1, le=MAX_MESSAGE_BYTES)] = 1024 * 1024
    """How large a body may be; a larger one is MessageTooLarge."""
    retain_processed: Annotated[int, Meta(ge=0, le=10 * YEAR)] | None = 24 * 3600
    """How many seconds an acked message is kept; 0: it is removed at the ack; None: for ever."""
    retain_failed: Annotated[int, Meta(ge=0, le=10 * YEAR)] | None = 14 * 24 * 3600
    """How many seconds a failed message is kept; None: for ever."""
    ordering: Literal["priority", "group_fifo"] = "priority"
    """`priority`: higher priority first, then id. `group_fifo`: id alone. In a group only the
    head can be leased, under both."""
    paused: bool = False
    """Whether nothing is leased from it; it goes on taking messages."""


class QueueSpec(msgspec.Struct, frozen=True):
    """What a queue shall be."""

    name: str
    """By which it is known from then on."""
    policy: QueuePolicy = msgspec.field(default_factory=QueuePolicy)
    """How it shall treat its messages: the whole policy, not what changes of it."""


class Queue(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A queue as it is stored."""

    id: int
    """Positive, and of no other queue that there is."""
    name: str
    """By which clients and other queues know it."""
    policy: QueuePolicy
    """How it treats its messages."""
    version: int
    """1 at first, one more with each change of the queue."""
    created_at: int
    """When it was made, in milliseconds UTC."""
    updated_at: int
    """When it was changed last, in milliseconds UTC."""


class Counts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Messages by state; lapsed leases count as pending."""

    pending: int = 0
    """That wait for a consumer, `scheduled` ones too."""
    processing: int = 0
    """That are leased."""
    processed: int = 0
    """That were acked and are retained."""
    failed: int = 0
    """That failed and stayed."""
    scheduled: int = 0
    """The part of `pending` that is not visible yet."""

    @property
    def total(self) -> int:
        """Count every message that the queue holds."""
        return self.pending + self.processing + self.processed + self.failed


class Totals(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What happened in a queue since it was made; these only grow."""

    published: int = 0
    """Messages stored; duplicates were not."""
    delivered: int = 0
    """Leases, so a message that was leased twice counts twice."""
    acked: int = 0
    """Messages that a consumer was done with."""
    retried: int = 0
    """Retries asked for that made a message pending again."""
    released: int = 0
    """Leases given back as if they had not been."""
    failed: int = 0
    """Messages that were rejected or delivered too often, dead-lettered or not."""
    dead_lettered: int = 0
    """Messages that went from here to the dead letter queue."""
    redriven: int = 0
    """Messages that a redrive took from here to where they came from."""
    lapsed: int = 0
    """Leases that ended by themselves."""
    expired: int = 0
    """Removed or dead-lettered because their ttl passed."""
    deleted: int = 0
    """Removed by an explicit delete or purge."""
    dropped: int = 0
    """Removed by `overflow = drop_oldest`."""
    retired: int = 0
    """Removed after their retention."""


class QueueStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A queue and what it holds, in time that does not grow with its length."""

    queue: Queue
    """The queue itself."""
    counts: Counts
    """What it holds now."""
    totals: Totals
    """What happened in it."""
    bytes: int
    """Bytes of the bodies of all messages that the queue holds."""
    oldest_at: int | None
    """Since when the one of the lowest id among those that could be leased now could be: since its
    publish, the end of its delay, or that of its last lease."""


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """All queues at one moment."""

    at: int
    """The moment, in milliseconds UTC."""
    queues: tuple[QueueStatus, ...]
    """Every queue, by name in code point order."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """All queues in one set of numbers."""

    queues: int
    """How many there are."""
    counts: Counts
    """What they hold."""
    totals: Totals
    """What happened in those that there are."""
