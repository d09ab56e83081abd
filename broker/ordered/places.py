"""Where a row is found: every order of its queue that it has a place in."""

from __future__ import annotations

from broker.ordered import keys
from broker.ordered.records import Row


def rank(row: Row) -> bytes:
    """Return the place of a row in the order of priority."""
    return keys.number(9 - row.priority) + keys.number(row.id)


def ready(queue_id: int, place: bytes) -> set[bytes]:
    """Return the keys of what can be leased and has this rank."""
    by_priority = keys.of_queue(queue_id, keys.READY) + place
    return {by_priority, keys.by_id(queue_id, keys.READY_BY_ID, keys.last_number(place))}


def places(row: Row) -> set[bytes]:
    """Return every key under which a row is found, but its own and those of ready heads."""
    queue_id = row.queue_id
    found = {keys.by_id(queue_id, keys.BY_STATE[row.state], row.id)}

    def place(kind: bytes, rank: int) -> None:
        found.add(keys.by_number(queue_id, kind, rank, row.id))

    if row.finished_at is not None:
        place(keys.BY_END[row.state], row.finished_at)
        return found
    if row.group is not None:
        is_leased = row.state == "processing"
        kind = keys.LEASED_IN_GROUP if is_leased else keys.WAITING_IN_GROUP
        members = keys.of_queue(queue_id, kind) + keys.digest(row.group)
        found.add(members + keys.number(row.id))
    if row.origin_queue is not None:
        found.add(keys.by_id(queue_id, keys.LETTER, row.id))
    if row.state == "processing":
        place(keys.LEASED, row.visible_at)
        return found
    if row.is_scheduled:
        place(keys.SCHEDULED, row.visible_at)
    elif row.group is None:
        found |= ready(queue_id, rank(row))
    if row.token is not None:
        place(keys.LAPSED, keys.MAX - row.delivery_count)
    if row.expires_at is not None:
        place(keys.EXPIRING, row.expires_at)
    return found


def due_time(row: Row, now: int) -> int | None:
    """Return by when maintain has to look at a row: no later than it has something to do."""
    if row.state == "processing":
        return row.visible_at
    if row.finished_at is not None or row.is_lapsed:
        return now
    return row.expires_at
