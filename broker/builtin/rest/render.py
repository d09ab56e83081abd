"""From the broker's objects to the JSON that clients get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from broker import (
    Counts,
    Deliveries,
    Delivery,
    EndReason,
    Message,
    Moment,
    PublishResult,
    QueuePolicy,
    QueueStatus,
    SettleKind,
    SettleOutcome,
    SettleResult,
    State,
    Totals,
    timestamp,
)


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message as clients see it; the id has two names."""

    id: int
    """Of no other message, whatever the queue."""
    message_id: int
    """The same."""
    queue: str
    """The name of the queue where it is."""
    queue_id: int
    """The id of that queue."""
    content: str | UnsetType = UNSET
    """The body, if it is text."""
    content_base64: bytes | UnsetType = UNSET
    """The body as base64, if it is no UTF-8."""
    content_type: str
    """What the body is, as its sender named it."""
    headers: dict[str, str]
    """What its sender told beside the body."""
    priority: int
    """0 to 9, higher first."""
    group: str | None
    """The group in which it is leased in order; null: none."""
    dedup_key: str | None
    """By which a second one like it is known; null: none is."""
    status: State
    """How far it is in its life."""
    created_at: Moment
    """When it was published."""
    updated_at: Moment
    """When something was done to it last."""
    visible_at: Moment
    """When it can be leased; while it is leased, when the lease ends."""
    expires_at: Moment | None
    """When its ttl is over; null: it does not expire."""
    delivery_count: int
    """How often it was leased and not released."""
    first_delivered_at: Moment | None
    """When it was leased first; null: never."""
    finished_at: Moment | None
    """When it was processed or failed; null: it is neither."""
    reason: str | None
    """Why it failed, expired or was retried, the latest of these."""
    origin_queue: str | None
    """The queue that it was dead-lettered from; null: it was not."""
    leased_by: str | None
    """Who has it; null: nobody."""
    receipt: str | UnsetType = UNSET
    """The proof of the lease, for whoever leased it."""
    lease_expires_at: Moment | UnsetType = UNSET
    """When that lease ends."""


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """A queue as clients see it; `message_count` is of all that it holds."""

    id: int
    """Of no other queue."""
    name: str
    """By which it is known."""
    created_at: Moment
    """When it was made."""
    updated_at: Moment
    """When it was changed last."""
    version: int
    """1 at first, one more with each change; the `ETag` of version 7 is `"v7"`."""
    paused: bool
    """Whether nothing is leased from it."""
    message_count: int
    """How many messages it holds, in any state."""
    policy: QueuePolicy
    """How it treats its messages."""
    counts: Counts
    """How many messages it holds, by state."""
    totals: Totals
    """What happened in it since it was made."""
    bytes: int
    """The size of the bodies of all messages that it holds."""
    oldest_at: Moment | None
    """When the oldest message that can be leased now was published; null: there is none."""


class DeliveriesView(msgspec.Struct, frozen=True, kw_only=True):
    """What a lease brought."""

    messages: list[MessageView]
    """Those that are leased now, in the order in which they shall be worked at."""
    paused: bool
    """Whether the queue is paused, and that is why there is none."""


class PublishedView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one message to publish."""

    message_id: int
    """The id of the message; of the first one, if this is a duplicate."""
    duplicate: bool
    """Whether nothing was stored, since its `dedup_key` was used already."""


class PublishView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message that was published by itself."""

    message: str = "Message published successfully."
    """What was done, for people."""
    message_id: int
    """The id of the message; of the first one, if this is a duplicate."""
    duplicate: bool
    """Whether nothing was stored, since its `dedup_key` was used already."""


class BatchView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the messages of a batch, in its order."""

    results: list[PublishedView]
    """One for each message."""


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of a queue; there is more after the id `after`, unless that is null."""

    messages: list[MessageView]
    """In the order of their ids."""
    after: int | None
    """What to ask for as `after` to get the next page; null: there is none."""


class EndView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a stream brings nothing more."""

    reason: EndReason
    """Come again at once after `rotated`; after `shutdown` and `unavailable`, in a moment."""


class IndexView(msgspec.Struct, frozen=True, kw_only=True):
    """What answers here."""

    name: str = "Replika Broker"
    """Of the software."""
    status: Literal["running", "draining"]
    """Whether it takes requests."""
    version: str
    """Of the software."""
    timestamp: Moment
    """What time the broker has."""


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """How the broker is, in a word."""

    status: str
    """`ok`, or `ready`."""


class ReadyView(StatusView, frozen=True, kw_only=True, omit_defaults=True):
    """That the broker is ready, and for who may `admin`, how each plugin is."""

    checks: dict[str, str] = {}
    """How each plugin is: `ok`."""


class CountView(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages, or queues, were concerned."""

    count: int
    """How many."""


class DetailView(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, in words for people."""

    detail: str
    """It may change; go by the status code."""


class ExtendedView(DetailView, frozen=True, kw_only=True):
    """Until when a lease lasts now."""

    lease_expires_at: Moment
    """When the lease ends."""


class ResultView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one settlement: the `index`-th in the list named `kind`."""

    kind: SettleKind
    """The list in which it was asked for."""
    index: int
    """Its place in that list, from 0."""
    message_id: int
    """Which message it was about."""
    outcome: SettleOutcome
    """`ok`, or why nothing was done."""
    status: State | None = None
    """How far the message is in its life now."""
    queue: str | None = None
    """Where the message is now."""
    visible_at: Moment | None = None
    """When it can be leased again, after a retry."""
    lease_expires_at: Moment | None = None
    """When the lease ends, after it was extended."""


class SettledView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of settlements, and of what was published with them."""

    results: list[ResultView]
    """One for each settlement, in the order of the lists."""
    published: list[PublishedView] | UnsetType = UNSET
    """One for each message that was published."""


def view_message(message: Message, receipt: str | UnsetType = UNSET) -> MessageView:
    """Show a message; with its receipt, if it was leased to the one who looks."""
    content: str | UnsetType = UNSET
    content_base64: bytes | UnsetType = UNSET
    try:
        content = message.body.decode()
    except UnicodeDecodeError:
        content_base64 = message.body
    visible_at = timestamp(message.visible_at)
    return MessageView(
        id=message.id,
        message_id=message.id,
        queue=message.queue,
        queue_id=message.queue_id,
        content=content,
        content_base64=content_base64,
        content_type=message.content_type,
        headers=message.headers,
        priority=message.priority,
        group=message.group,
        dedup_key=message.dedup_key,
        status=message.state,
        created_at=timestamp(message.enqueued_at),
        updated_at=timestamp(message.updated_at),
        visible_at=visible_at,
        expires_at=timestamp(message.expires_at),
        delivery_count=message.delivery_count,
        first_delivered_at=timestamp(message.first_delivered_at),
        finished_at=timestamp(message.finished_at),
        reason=message.reason,
        origin_queue=message.origin_queue,
        leased_by=message.leased_by,
        receipt=receipt,
        lease_expires_at=visible_at if receipt is not UNSET else UNSET,
    )


def view_delivery(delivery: Delivery) -> MessageView:
    """Show a leased message with its receipt."""
    return view_message(delivery.message, delivery.receipt)


def view_deliveries(deliveries: Deliveries) -> DeliveriesView:
    """Show what a lease brought."""
    return DeliveriesView(
        messages=[view_delivery(delivery) for delivery in deliveries.deliveries],
        paused=deliveries.paused,
    )


def view_queue(status: QueueStatus) -> QueueView:
    """Show a queue with what it holds."""
    queue = status.queue
    return QueueView(
        id=queue.id,
        name=queue.name,
        created_at=timestamp(queue.created_at),
        updated_at=timestamp(queue.updated_at),
        version=queue.version,
        paused=queue.policy.paused,
        message_count=status.counts.total,
        policy=queue.policy,
        counts=status.counts,
        totals=status.totals,
        bytes=status.bytes,
        oldest_at=timestamp(status.oldest_at),
    )


def view_published(results: Sequence[PublishResult]) -> list[PublishedView]:
    """Show what became of messages to publish."""
    return [PublishedView(message_id=one.id, duplicate=one.duplicate) for one in results]


def view_results(
    places: Sequence[tuple[SettleKind, int]], results: Sequence[SettleResult]
) -> list[ResultView]:
    """Show what became of settlements; `places` says which list and index each came from."""
    return [
        ResultView(
            kind=kind,
            index=index,
            message_id=result.id,
            outcome=result.outcome,
            status=result.state,
            queue=result.queue,
            visible_at=timestamp(result.visible_at) if kind == "retry" else None,
            lease_expires_at=timestamp(result.visible_at) if kind == "extend" else None,
        )
        for (kind, index), result in zip(places, results, strict=True)
    ]
