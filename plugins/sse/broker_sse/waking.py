"""Which queues have work, or room for it, because of what happened on another node."""

from __future__ import annotations

from collections.abc import Iterator

from broker import Event, EventKind

FOR_ONE: frozenset[EventKind] = frozenset(
    {
        "message.published",
        "message.released",
        "message.retried",
        "message.redriven",
        # The lease, or the message, that is gone can have kept others of its group, or of
        # `max_in_flight`, from being leased.
        "message.acked",
        "message.rejected",
        "message.failed",
        "message.dead_lettered",
        "message.deleted",
        "message.expired",
    }
)
"""What brings or frees one message."""

FOR_ALL: frozenset[EventKind] = frozenset(
    {"queue.created", "queue.updated", "queue.resumed", "queue.deleted", "queue.purged"}
)
"""What everybody who waits for the queue has to look at."""


def wakes(event: Event) -> Iterator[tuple[str, int | None]]:
    """Return queues and how many of those who wait for them shall look; None: all."""
    if event.kind in FOR_ONE:
        yield event.queue, 1
        if event.moved_to is not None:
            yield event.moved_to, 1
    elif event.kind in FOR_ALL:
        yield event.queue, None
