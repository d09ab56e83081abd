"""What the numbers of queues are called."""

from __future__ import annotations

from collections.abc import Mapping

from broker import QueueStatus

Numbers = tuple[float, ...]

COUNTED: Mapping[str, tuple[str, str | None]] = {
    "published": ("messages_published", None),
    "delivered": ("messages_delivered", None),
    "acked": ("messages_settled", "acked"),
    "retried": ("messages_settled", "retried"),
    "released": ("messages_settled", "released"),
    "failed": ("messages_settled", "failed"),
    "dead_lettered": ("messages_dead_lettered", None),
    "redriven": ("messages_redriven", None),
    "lapsed": ("messages_lapsed", None),
    "expired": ("messages_expired", None),
    "deleted": ("messages_deleted", None),
    "dropped": ("messages_dropped", None),
    "retired": ("messages_retired", None),
}
"""Under which metric, and with which outcome, each of the `Totals` is shown."""

DESCRIPTIONS = {
    "messages_published": "Messages that were stored; duplicates were not.",
    "messages_delivered": "Leases: a message that was leased twice counts twice.",
    "messages_settled": "How leases ended: acked, retried, released, or failed, which messages "
    "that were delivered too often are, too.",
    "messages_dead_lettered": "Messages that went to the dead letter queue of this one.",
    "messages_redriven": "Messages that a redrive brought back from here.",
    "messages_lapsed": "Leases that ended by themselves.",
    "messages_expired": "Messages that were removed or dead-lettered because their ttl passed.",
    "messages_deleted": "Messages that somebody removed.",
    "messages_dropped": "Messages that made room for newer ones (overflow = drop_oldest).",
    "messages_retired": "Messages that were removed after their retention.",
}

HELD = {
    "queue_messages_ready": "Messages that can be leased now.",
    "queue_messages_leased": "Messages that consumers have.",
    "queue_messages_delayed": "Messages that can be leased later.",
    "queue_messages_failed": "Messages that failed and stayed.",
    "queue_messages_dead": "Dead letters of other queues that can be leased now.",
    "queue_bytes": "Bytes of the bodies of all messages that the queue holds.",
    "queue_oldest_message_age_seconds": "How long the oldest message that can be leased now could "
    "be: since its publish, its delay, or its last lease; of the others together the oldest, but "
    "for paused and dead letter queues.",
}
"""What a queue holds, in the order of `held_by`."""


STATES = {
    "queue_paused": "1 for a queue that is paused, else 0; of the others there is none.",
    "queue_is_dead_letter_target": "1 for a queue to which others send their dead letters, else 0; "
    "of the others there is none.",
}
"""How a queue with a label of its own is, in the order of `state_of`."""


def held_by(status: QueueStatus, at: int, *, is_dead_letter_queue: bool) -> Numbers:
    """Return what a queue holds at a moment, in milliseconds, in the order of `HELD`."""
    counts = status.counts
    ready = counts.pending - counts.scheduled
    age = 0.0 if status.oldest_at is None else max(0, at - status.oldest_at) / 1000
    return (
        ready,
        counts.processing,
        counts.scheduled,
        counts.failed,
        ready if is_dead_letter_queue else 0,
        status.bytes,
        age,
    )


def state_of(status: QueueStatus, *, is_dead_letter_queue: bool) -> Numbers:
    """Return how a queue is, in the order of `STATES`."""
    return int(status.queue.policy.paused), int(is_dead_letter_queue)
