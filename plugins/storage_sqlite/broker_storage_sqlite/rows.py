"""Rows of the table `messages`, and what the broker sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from broker import Message, Queue, QueuePolicy

DONE, READY, SCHEDULED, LEASED, BLOCKED = range(5)
"""The shelves; the first migration tells what they mean."""

MESSAGE_COLUMNS = (
    "id, queue_id, status, content, content_type, headers, priority, grp, dedup_key, created_at,"
    " updated_at, visible_at, expires_at, delivery_count, first_delivered_at, finished_at, reason,"
    " origin_queue, leased_by"
)

_read_headers = msgspec.json.Decoder(dict[str, str]).decode
_read_policy = msgspec.json.Decoder(QueuePolicy).decode


class Row(msgspec.Struct, frozen=True):
    """What decides about a message, without its body."""

    id: int
    queue_id: int
    status: str
    shelf: int
    rank: int
    priority: int
    visible_at: int
    expires_at: int | None
    delivery_count: int
    first_delivered_at: int | None
    finished_at: int | None
    leased_at: int | None
    leased_by: str | None
    token: bytes | None
    grp: str | None
    reason: str | None
    origin_queue: str | None
    size: int

    def is_live(self, now: int) -> bool:
        """Tell whether it is under a lease."""
        return self.status == "processing" and self.visible_at > now

    def is_lapsed(self, now: int) -> bool:
        """Tell whether its last lease ended by itself, whether or not that was noticed."""
        if self.status == "pending":
            return self.token is not None
        return self.status == "processing" and self.visible_at <= now

    def held(self) -> dict[str, int]:
        """Return what it adds to the counters of its queue."""
        is_pending = self.status == "pending"
        return {
            self.status: 1,
            "scheduled": int(self.shelf == SCHEDULED),
            "bytes": self.size,
            "pending_bytes": self.size if is_pending else 0,
        }


ROW_COLUMNS = ", ".join((*Row.__struct_fields__[:-1], "length(content)"))


def is_exhausted(delivery_count: int, policy: QueuePolicy) -> bool:
    """Tell whether a message was delivered as often as the policy allows."""
    return policy.max_deliveries is not None and delivery_count >= policy.max_deliveries


def rank_of(priority: int, policy: QueuePolicy) -> int:
    """Return what a message is sorted by before its id."""
    return priority if policy.ordering == "priority" else 0


def message_of(row: Sequence[Any], queue: str, now: int) -> Message:
    """Return the message in a row of MESSAGE_COLUMNS; a lapsed one reads as pending."""
    is_lapsed = row[2] == "processing" and row[11] <= now
    return Message(
        id=row[0],
        queue=queue,
        queue_id=row[1],
        state="pending" if is_lapsed else row[2],
        body=row[3],
        content_type=row[4],
        headers=headers_of(row[5]),
        priority=row[6],
        group=row[7],
        dedup_key=row[8],
        enqueued_at=row[9],
        updated_at=row[10],
        visible_at=row[11],
        expires_at=row[12],
        delivery_count=row[13],
        first_delivered_at=row[14],
        finished_at=row[15],
        reason=row[16],
        origin_queue=row[17],
        leased_by=row[18],
    )


def headers_of(text: str) -> dict[str, str]:
    """Return the headers that are stored as JSON."""
    return {} if text == "{}" else _read_headers(text)


QUEUE_COLUMNS = "id, name, policy, version, created_at, updated_at"


def queue_of(row: Sequence[Any]) -> Queue:
    """Return the queue in a row that begins with QUEUE_COLUMNS."""
    queue_id, name, policy, version, created_at, updated_at, *_ = row
    return Queue(
        id=queue_id,
        name=name,
        policy=_read_policy(policy),
        version=version,
        created_at=created_at,
        updated_at=updated_at,
    )
