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
    message_id: int
    queue: str
    queue_id: int
    content: str | UnsetType = UNSET
    content_base64: bytes | UnsetType = UNSET
    content_type: str
    headers: dict[str, str]
    priority: int
    group: str | None
    dedup_key: str | None
    status: State
    created_at: Moment
    updated_at: Moment
    visible_at: Moment
    expires_at: Moment | None
    delivery_count: int
    first_delivered_at: Moment | None
    finished_at: Moment | None
    reason: str | None
    origin_queue: str | None
    leased_by: str | None
    receipt: str | UnsetType = UNSET
    lease_expires_at: Moment | UnsetType = UNSET


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """A queue as clients see it; `message_count` is of all that it holds."""

    id: int
    name: str
    created_at: Moment
    updated_at: Moment
    version: int
    paused: bool
    message_count: int
    policy: QueuePolicy
    counts: Counts
    totals: Totals
    bytes: int
    oldest_at: Moment | None


class DeliveriesView(msgspec.Struct, frozen=True, kw_only=True):
    """What a lease brought."""

    messages: list[MessageView]
    paused: bool


class PublishedView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one message to publish."""

    message_id: int
    duplicate: bool


class PublishView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message that was published by itself."""

    message: str = "Message published successfully."
    message_id: int
    duplicate: bool


class BatchView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the messages of a batch, in its order."""

    results: list[PublishedView]


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of a queue; there is more after the id `after`, unless that is null."""

    messages: list[MessageView]
    after: int | None


class EndView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a stream brings nothing more."""

    reason: EndReason


class IndexView(msgspec.Struct, frozen=True, kw_only=True):
    """What answers here."""

    name: str = "Replika Broker"
    status: Literal["running", "draining"]
    version: str
    timestamp: Moment


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """How the broker is, in a word."""

    status: str


class ReadyView(StatusView, frozen=True, kw_only=True, omit_defaults=True):
    """That the broker is ready, and for who may `admin`, how each plugin is."""

    checks: dict[str, str] = {}


class CountView(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages, or queues, were concerned."""

    count: int


class DetailView(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, in words for people."""

    detail: str


class ExtendedView(DetailView, frozen=True, kw_only=True):
    """Until when a lease lasts now."""

    lease_expires_at: Moment


class ResultView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one settlement: the `index`-th in the list named `kind`."""

    kind: SettleKind
    index: int
    message_id: int
    outcome: SettleOutcome
    status: State | None = None
    queue: str | None = None
    visible_at: Moment | None = None
    lease_expires_at: Moment | None = None


class SettledView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of settlements, and of what was published with them."""

    results: list[ResultView]
    published: list[PublishedView] | UnsetType = UNSET


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
