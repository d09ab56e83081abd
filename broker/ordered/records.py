"""What is kept under the keys, as MessagePack: a field that is added later needs a default."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from broker.errors import StorageUnreadable
from broker.models import (
    Counts,
    Message,
    NewMessage,
    Queue,
    QueuePolicy,
    QueueStatus,
    State,
    Totals,
)

FORMAT = 1

T = TypeVar("T")


class Ids(msgspec.Struct, array_like=True):
    """The next ids; their record makes a store one of these."""

    format: int = FORMAT
    next_queue_id: int = 1
    next_message_id: int = 1


class Row(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A message without its body. While it is pending, a token is that of a lapsed lease."""

    id: int
    queue: str
    queue_id: int
    state: State = "pending"
    size: int
    content_type: str
    headers: dict[str, str]
    priority: int
    group: str | None
    dedup_key: str | None
    enqueued_at: int
    updated_at: int
    visible_at: int
    expires_at: int | None
    is_scheduled: bool
    """Pending, and nobody has noticed yet that it is visible."""
    delivery_count: int = 0
    first_delivered_at: int | None = None
    finished_at: int | None = None
    reason: str | None = None
    origin_queue: str | None = None
    leased_by: str | None = None
    leased_at: int = 0
    token: bytes | None = None

    @classmethod
    def new(cls, message_id: int, message: NewMessage, queue: Queue, now: int) -> Row:
        """Return the row of a message that is being published."""
        return cls(
            id=message_id,
            queue=queue.name,
            queue_id=queue.id,
            size=len(message.body),
            content_type=message.content_type,
            headers=message.headers,
            priority=message.priority,
            group=message.group,
            dedup_key=message.dedup_key,
            enqueued_at=now,
            updated_at=now,
            visible_at=message.visible_at,
            expires_at=message.expires_at,
            is_scheduled=message.visible_at > now,
        )

    def message(self, body: bytes) -> Message:
        """Return what others may see of it."""
        return Message(
            id=self.id,
            queue=self.queue,
            queue_id=self.queue_id,
            state=self.state,
            body=body,
            content_type=self.content_type,
            headers=self.headers,
            priority=self.priority,
            group=self.group,
            dedup_key=self.dedup_key,
            enqueued_at=self.enqueued_at,
            updated_at=self.updated_at,
            visible_at=self.visible_at,
            expires_at=self.expires_at,
            delivery_count=self.delivery_count,
            first_delivered_at=self.first_delivered_at,
            finished_at=self.finished_at,
            reason=self.reason,
            origin_queue=self.origin_queue,
            leased_by=self.leased_by,
        )

    @property
    def is_lapsed(self) -> bool:
        """Whether a lease of it ended by itself, and nobody leased it since."""
        return self.state == "pending" and self.token is not None

    def is_exhausted(self, policy: QueuePolicy) -> bool:
        """Tell whether it was delivered as often as the policy allows."""
        return policy.max_deliveries is not None and self.delivery_count >= policy.max_deliveries

    def is_expired(self, now: int) -> bool:
        """Tell whether its ttl passed."""
        return self.expires_at is not None and self.expires_at <= now


class Books(msgspec.Struct, array_like=True):
    """What a queue holds and what happened in it, so that nothing is ever counted."""

    held: dict[State, int] = {}
    scheduled: int = 0
    bytes: int = 0
    pending_bytes: int = 0
    totals: dict[str, int] = {}
    due_at: int | None = None
    """When maintain has to look at it: then, or later."""

    def enter(self, row: Row, sign: int = 1) -> None:
        """Count a row that is in the queue now; with sign -1, one that is not any more."""
        self.held[row.state] = self.held.get(row.state, 0) + sign
        self.bytes += sign * row.size
        if row.state == "pending":
            self.pending_bytes += sign * row.size
            self.scheduled += sign * row.is_scheduled

    def count(self, event: str, times: int = 1) -> None:
        """Count something that happened."""
        self.totals[event] = self.totals.get(event, 0) + times

    def lapse(self, leases: int) -> None:
        """Count leases as over whose rows say nothing of it yet; for a look alone."""
        self.count("lapsed", leases)
        self.held["processing"] = self.held.get("processing", 0) - leases
        self.held["pending"] = self.held.get("pending", 0) + leases

    def status(self, queue: Queue, *, oldest_at: int | None) -> QueueStatus:
        """Return what `get_queues` answers."""
        return QueueStatus(
            queue=queue,
            counts=Counts(**self.held, scheduled=self.scheduled),
            totals=Totals(**self.totals),
            bytes=self.bytes,
            oldest_at=oldest_at,
        )


class DedupKey(msgspec.Struct, frozen=True, array_like=True):
    """The first message that was published under a key, and until when it is remembered."""

    message_id: int
    until: int


encode = msgspec.msgpack.Encoder().encode
decode_ids = msgspec.msgpack.Decoder(Ids).decode
decode_row = msgspec.msgpack.Decoder(Row).decode
decode_books = msgspec.msgpack.Decoder(Books).decode
decode_queue = msgspec.msgpack.Decoder(Queue).decode
decode_dedup_key = msgspec.msgpack.Decoder(DedupKey).decode


def check_format(value: bytes, where: str) -> None:
    """Raise StorageUnreadable unless this is the record of ids of a store that can be read."""
    try:
        found = decode_ids(value).format
    except msgspec.DecodeError as error:
        raise StorageUnreadable(f"{where} is damaged, or no store of a broker: {error}") from error
    if found != FORMAT:
        raise StorageUnreadable(f"{where} has the format {found}; this broker reads {FORMAT}")
