"""Under which keys everything is kept: what is asked for in an order is kept in that order.

| key | value |
|---|---|
| `!` | the next ids |
| `a` time, queue id | name of a queue that maintain has to look at then, or later |
| `b` message id | body |
| `d` queue id | nothing: a queue that was dropped, and whose keys are not all gone yet |
| `i` queue id, kind, ... | of one queue: its books, and every order of its messages |
| `m` message id | everything of a message but its body |
| `q` name | queue |

Numbers are 8 bytes, the most significant first. A group or dedup key is kept as a digest of 16
bytes, so that no key is longer than the longest name of a queue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from struct import Struct

from broker.models import State

IDS = b"!"
AGENDA = b"a"
DROPPED = b"d"
MESSAGES = b"m"
QUEUES = b"q"
MAX = 2**64 - 1

# Kinds of keys of a queue. Where none is given, the value is empty.
BOOKS = b"b"  # value: books
BY_STATE: Mapping[State, bytes] = {
    "pending": b"1",
    "processing": b"2",
    "processed": b"3",
    "failed": b"4",
}  # id
BY_END: Mapping[State, bytes] = {"processed": b"5", "failed": b"6"}  # finished_at, id
READY = b"r"  # 9 - priority, id
READY_BY_ID = b"o"  # id
SCHEDULED = b"s"  # visible_at, id
LEASED = b"l"  # end of the lease, id
LAPSED = b"t"  # MAX - delivery_count, id
EXPIRING = b"x"  # expires_at, id
LETTER = b"y"  # id; of the unfinished ones that came from another queue
WAITING_IN_GROUP = b"g"  # group, id
LEASED_IN_GROUP = b"h"  # group, id
OFFERED = b"f"  # group; value: the READY key of its head
DEDUP = b"k"  # dedup key; value: message id, until when
DEDUP_END = b"e"  # until when, dedup key

_NUMBER = Struct(">Q")
_BY_ID = Struct(">cQcQ")
_BY_NUMBER = Struct(">cQcQQ")


def number(value: int) -> bytes:
    """Encode a number so that the order of bytes is that of numbers; below 0 counts as 0."""
    return _NUMBER.pack(min(max(value, 0), MAX))


def last_number(key: bytes) -> int:
    """Return the number at the end of a key: mostly the id of a message."""
    return int.from_bytes(key[-8:])


def message(message_id: int) -> bytes:
    """Return where a message is kept."""
    return MESSAGES + number(message_id)


def body(message_id: int) -> bytes:
    """Return where the body of a message is kept."""
    return b"b" + number(message_id)


def queue(name: str) -> bytes:
    """Return where a queue is kept."""
    return QUEUES + name.encode()


def dropped(queue_id: int) -> bytes:
    """Return what stands for a queue that was dropped."""
    return DROPPED + number(queue_id)


def agenda(due: int, queue_id: int) -> bytes:
    """Return what makes maintain look at a queue."""
    return AGENDA + number(due) + number(queue_id)


def due_of_agenda(key: bytes) -> int:
    """Return by when maintain has to look at the queue of such a key."""
    return int.from_bytes(key[1:9])


def of_queue(queue_id: int, kind: bytes = b"") -> bytes:
    """Return with what all keys of a queue begin, or all of one kind."""
    return b"i" + number(queue_id) + kind


def by_id(queue_id: int, kind: bytes, message_id: int) -> bytes:
    """Return the key of a message among those of one kind."""
    return _BY_ID.pack(b"i", queue_id, kind, message_id)


def by_number(queue_id: int, kind: bytes, rank: int, message_id: int) -> bytes:
    """Return the key of a message among those of one kind, ordered by something else first."""
    return _BY_NUMBER.pack(b"i", queue_id, kind, min(max(rank, 0), MAX), message_id)


def digest(text: str) -> bytes:
    """Return what stands for a group or a dedup key, however long that is."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def after_all(prefix: bytes) -> bytes:
    """Return what comes after every key that begins so; it does not begin with 255."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes([head[-1] + 1])
