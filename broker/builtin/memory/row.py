"""One stored message, as the memory storage changes it."""

from __future__ import annotations

from typing import Literal

import msgspec

from broker import Message, NewMessage, QueuePolicy

State = Literal["pending", "processing", "processed", "failed"]


class Row(msgspec.Struct, kw_only=True):
    """A message and its lease. While pending, a token is that of a lapsed lease."""

    id: int
    queue: str
    state: State = "pending"
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
    delivery_count: int = 0
    first_delivered_at: int | None = None
    finished_at: int | None = None
    reason: str | None = None
    origin_queue: str | None = None
    leased_by: str | None = None
    leased_at: int = 0
    token: bytes | None = None
    lapse_is_new: bool = False
    """Whether maintain has still to look at its last lapse."""

    @classmethod
    def new(cls, message_id: int, message: NewMessage, now: int) -> Row:
        """Return a row for a message that is being published."""
        return cls(
            id=message_id,
            queue=message.queue,
            body=message.body,
            content_type=message.content_type,
            headers=dict(message.headers),
            priority=message.priority,
            group=message.group,
            dedup_key=message.dedup_key,
            enqueued_at=now,
            updated_at=now,
            visible_at=message.visible_at,
            expires_at=message.expires_at,
        )

    def is_finished(self, before: int) -> bool:
        """Tell whether it was processed or failed before a time."""
        return self.finished_at is not None and self.finished_at < before

    def message(self, queue_id: int) -> Message:
        """Return what others may see of it."""
        return Message(
            id=self.id,
            queue=self.queue,
            queue_id=queue_id,
            state=self.state,
            body=self.body,
            content_type=self.content_type,
            headers=dict(self.headers),
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

    def lease(self, *, until: int, owner: str, token: bytes, now: int) -> None:
        """Begin a lease."""
        self.state = "processing"
        self.visible_at = until
        self.delivery_count += 1
        if self.first_delivered_at is None:
            self.first_delivered_at = now
        self.leased_by = owner
        self.leased_at = now
        self.token = token
        self.updated_at = now

    def wait(self, *, until: int, now: int) -> None:
        """Become pending, under no lease."""
        self.state = "pending"
        self.visible_at = until
        self.leased_by = None
        self.token = None
        self.lapse_is_new = False
        self.updated_at = now

    def renew(self, *, queue: str, now: int) -> None:
        """Become pending in `queue` as if it had never been delivered, without a ttl."""
        self.wait(until=now, now=now)
        self.queue = queue
        self.delivery_count = 0
        self.first_delivered_at = None
        self.expires_at = None
        self.finished_at = None

    def finish(self, state: Literal["processed", "failed"], *, now: int) -> None:
        """End its life."""
        self.state = state
        self.finished_at = now
        self.updated_at = now
