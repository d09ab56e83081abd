"""Receipts: the opaque proof of one lease, and what its holder wants done with it.

A receipt carries the lease's token, the message's id, how often it was delivered and its queue,
so that permission and backoff need no look-up. Nothing in it is trusted: the storage compares
token and queue.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct

import msgspec

from broker.limits import QUEUE_NAME_PATTERN
from broker.models import SettleKind

NO_RECEIPT = "not a receipt of this broker"

_HEAD = struct.Struct(">16sqI")
_NAME = re.compile(QUEUE_NAME_PATTERN)


class Receipt(msgspec.Struct, frozen=True):
    """Which lease is meant. Without a token it is whatever lease the message has now."""

    token: bytes | None
    """That of the lease."""
    message_id: int
    """The message that was leased."""
    delivery_count: int
    """How often it had been, this lease included."""
    queue: str
    """The queue that it was leased from."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer wants done with one lease."""

    receipt: Receipt
    """Which lease."""
    kind: SettleKind
    """What to do with it."""
    delay: float | None = None
    """For retry: seconds until it is visible again; None: the queue's backoff."""
    seconds: float | None = None
    """For extend: seconds from now; None: the queue's lease_seconds."""
    reason: str | None = None
    """For retry and reject: why, for whoever looks at the message."""


def write_receipt(receipt: Receipt) -> str:
    """Return the text that a client gets; URL-safe, without padding."""
    assert receipt.token is not None, "a receipt that is given out names its lease"
    head = _HEAD.pack(receipt.token, receipt.message_id, receipt.delivery_count)
    return base64.urlsafe_b64encode(head + receipt.queue.encode()).rstrip(b"=").decode()


def read_receipt(text: str) -> Receipt:
    """Read what `write_receipt` wrote; raises ValueError for anything else."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        token, message_id, delivery_count = _HEAD.unpack_from(raw)
        queue = raw[_HEAD.size :].decode()
    except (binascii.Error, struct.error, ValueError) as error:
        raise ValueError(NO_RECEIPT) from error
    if message_id < 1 or not _NAME.match(queue):
        raise ValueError(NO_RECEIPT)
    return Receipt(token, message_id, delivery_count, queue)
