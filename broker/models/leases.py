"""Leases: what a consumer gets, and how it is settled."""

from __future__ import annotations

from typing import Literal

import msgspec

from broker.models.messages import Ended, Message, PublishResult, State

SettleKind = Literal["ack", "retry", "release", "reject", "extend"]
"""What can be done with a lease: be done with its message, have it again later or as if nothing
had been, fail it, or keep it for longer."""

SettleOutcome = Literal["ok", "not_found", "stale", "expired", "wrong_state"]
"""What becomes of that; `SettleResult.outcome` says what each means."""


class Lease(msgspec.Struct, frozen=True):
    """A leased message and the token that settles it."""

    message: Message
    """As the lease left it; the lease ends at its `visible_at`."""
    token: bytes
    """16 random bytes, fresh at each lease."""


class LeaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of lease took."""

    leases: list[Lease]
    """In lease order."""
    ended: tuple[Ended, ...] = ()
    """What it came across that could not be leased any more."""
    paused: bool = False
    """Whether the queue is paused, so that nothing is leased from it."""
    next_visible_at: int | None = None
    """When the next message becomes visible by itself, if one is scheduled or leased."""


class Delivery(msgspec.Struct, frozen=True):
    """A leased message as a consumer gets it."""

    message: Message
    """As the lease left it; the lease ends at its `visible_at`."""
    receipt: str
    """The proof of the lease, opaque text; `read_receipt` reads it."""


class Deliveries(msgspec.Struct, frozen=True):
    """What one lease call brought."""

    deliveries: list[Delivery]
    """In lease order; none if there was nothing to lease in time."""
    paused: bool = False
    """Whether there is nothing because the queue is paused."""


class Settle(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on one lease."""

    id: int
    """That of the leased message."""
    queue: str
    """The queue that the caller says the message is in; the store compares it."""
    kind: SettleKind
    """What to do."""
    token: bytes | None = None
    """None settles whatever lease there is, without fencing."""
    visible_at: int | None = None
    """For retry: when it is visible again. For extend: the new end of the lease."""
    reason: str | None = None
    """For retry and reject: why; None: the storage's own words if the message fails."""


class SettleResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one operation."""

    id: int
    """That of the message."""
    outcome: SettleOutcome
    """`not_found`: no such message. `stale`: the token is not that of the newest lease, or the
    message is elsewhere. `expired`: the lease lapsed, so only an ack is still taken.
    `wrong_state`: the message is not leased."""
    state: State | None = None
    """The state after the operation; None when the message is gone or was not touched."""
    queue: str | None = None
    """Where the message is now, if it is somewhere: a dead letter moved."""
    visible_at: int | None = None
    """For retry and extend: what was set."""
    reason: str | None = None
    """Why the message failed, if it did."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one call of settle."""

    results: list[SettleResult]
    """One for each operation, in their order."""
    published: list[PublishResult] = []
    """One for each message to publish; none if nothing was published because an operation is not
    `ok`."""
