"""Leasing: notice what is due, then take from what is ready."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from broker.limits import MAX_BATCH_BYTES
from broker.models import Ended, Lease, LeaseResult, Queue
from broker.ordered import keys, moves
from broker.ordered.records import Row
from broker.ordered.transaction import Transaction

ROUNDS = 20
"""How often one call looks again for what is behind messages that cannot be leased any more."""

MAX_ENDED = 1000
"""How many of those it ends in one look."""


def lease(tx: Transaction, name: str, *, limit: int, lease_until: int, owner: str) -> LeaseResult:
    """Lease up to `limit` messages in lease order; raises QueueNotFound."""
    queue = tx.queue(name)
    if queue.policy.paused:
        return LeaseResult(leases=[], paused=True)
    ended: list[Ended] = []
    rows, is_behind = _take(tx, queue, limit, ended)
    leases = [_lease(tx, row, lease_until, owner) for row in rows]
    # What is due is visible, whether or not it was noticed yet.
    times = (tx.first_time(queue.id, kind, tx.now) for kind in (keys.SCHEDULED, keys.LEASED))
    next_visible_at = min((time for time in times if time is not None), default=None)
    return LeaseResult(
        leases=leases,
        ended=tuple(ended),
        # Whoever found nothing only because there was too much to look at shall come back at once.
        next_visible_at=tx.now if is_behind and not rows else next_visible_at,
    )


def _take(tx: Transaction, queue: Queue, limit: int, ended: list[Ended]) -> tuple[list[Row], bool]:
    """Return what to lease, and whether there is more to look at; add to what `ended`."""
    for _ in range(ROUNDS):
        is_behind = tx.notice(queue.id)
        room = min(limit, _room(tx, queue))
        if room <= 0:
            return [], False
        fit, over = _look(tx, queue, room)
        for row in over:
            end = moves.expire if row.is_expired(tx.now) else moves.fail_exhausted
            ended.append(end(tx, row))
        # An end can bring the next of a group forward, to a place before those that fit.
        is_in_order = all(row.group is None for row in over)
        if is_in_order and (fit or not (is_behind or over)):
            return fit, False
        tx.regroup()
    return [], True


def _look(tx: Transaction, queue: Queue, limit: int) -> tuple[list[Row], list[Row]]:
    """Return what can be leased, and what came before it and is over."""
    fit: list[Row] = []
    over: list[Row] = []
    size = 0
    ready = _ready(tx, queue)
    while len(fit) < limit and size < MAX_BATCH_BYTES and len(over) < MAX_ENDED:
        row = next(ready, None)
        if row is None:
            break
        if row.is_expired(tx.now) or row.is_exhausted(queue.policy):
            over.append(row)
        else:
            fit.append(row)
            size += row.size
    return fit, over


def _ready(tx: Transaction, queue: Queue) -> Iterator[Row]:
    by_priority = queue.policy.ordering == "priority"
    for message_id in tx.in_order(queue.id, keys.READY if by_priority else keys.READY_BY_ID):
        row = tx.row(message_id)
        assert row is not None, "an order names only what is there"
        yield row


def _room(tx: Transaction, queue: Queue) -> int:
    """Return how many more may be in flight."""
    allowed = queue.policy.max_in_flight
    if allowed is None:
        return keys.MAX
    unnoticed = sum(1 for _ in tx.due(queue.id, keys.LEASED, tx.now))
    return allowed - tx.books(queue.id).held.get("processing", 0) + unnoticed


def _lease(tx: Transaction, row: Row, until: int, owner: str) -> Lease:
    tx.books(row.queue_id).count("delivered")
    token = secrets.token_bytes(16)
    first = tx.now if row.first_delivered_at is None else row.first_delivered_at
    leased = tx.change(
        row,
        state="processing",
        visible_at=until,
        delivery_count=row.delivery_count + 1,
        first_delivered_at=first,
        leased_by=owner,
        leased_at=tx.now,
        token=token,
        updated_at=tx.now,
    )
    return Lease(leased.message(tx.body(leased)), token)
