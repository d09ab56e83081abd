"""Which messages a query names; looking at them, and doing something to them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

import msgspec

from broker.models import BulkResult, Message, MessageQuery, Queue, State
from broker.ordered import keys, moves
from broker.ordered.records import Row
from broker.ordered.transaction import Transaction

SLICE = 2000
"""Messages that one look goes through, so that a long search lets other operations in between."""


class Part(msgspec.Struct, frozen=True):
    """What one look found."""

    messages: list[Message]
    has_more: bool = False
    """Whether something follows that there was no room for."""
    looked_until: int | None = None
    """Where to go on, if it did not come to an end."""


def look(tx: Transaction, query: MessageQuery, room: int) -> Part:
    """Read messages until the page is full, their bodies have filled the room, or it is enough."""
    messages: list[Message] = []
    last = query.after
    for number, message_id in enumerate(_candidates(tx, query)):
        if number == SLICE:
            return Part(messages, looked_until=last)
        row = tx.find(message_id)
        if row is not None and _fits(tx, row, query):
            if len(messages) >= query.limit or room <= 0:
                return Part(messages, has_more=True)
            messages.append(row.message(tx.body(row)))
            room -= row.size
        last = message_id
    return Part(messages)


def bulk(
    tx: Transaction, query: MessageQuery, action: Literal["delete", "redrive"], limit: int
) -> list[BulkResult]:
    """Remove or bring back at most `limit` messages."""
    named = (tx.find(message_id) for message_id in _candidates(tx, query, action))
    fitting = (row for row in named if row is not None and _fits(tx, row, query))
    if action == "delete":
        rows = list(islice(fitting, limit))
        for row in rows:
            moves.remove(tx, row, "deleted")
    else:
        letters = (row for row in fitting if moves.can_redrive(tx, row))
        rows = [moves.redrive(tx, row) for row in list(islice(letters, limit))]
    return [BulkResult(id=row.id, queue=row.queue) for row in rows]


def _fits(tx: Transaction, row: Row, query: MessageQuery) -> bool:
    finished_before = query.finished_before
    return (
        (query.queue is None or query.queue == row.queue)
        and (not query.states or _is_in(row, query.states))
        and (query.text is None or query.text.encode() in tx.body(row))
        and (
            finished_before is None
            or (row.finished_at is not None and row.finished_at < finished_before)
        )
    )


def _is_in(row: Row, states: Iterable[str]) -> bool:
    return row.state in states or (row.is_scheduled and "scheduled" in states)


def _candidates(tx: Transaction, query: MessageQuery, action: str = "") -> Iterator[int]:
    """Yield, in order, the ids of all messages that a query names, and of others."""
    if query.ids is not None:
        return (message_id for message_id in sorted(set(query.ids)) if message_id > query.after)
    if query.queue is None:
        rows = tx.data.scan(keys.message(query.after + 1), keys.after_all(keys.MESSAGES))
        return (keys.last_number(key) for key, _ in rows)
    queue = tx.find_queue(query.queue)
    if queue is None:
        return iter(())
    if action == "redrive":
        return _merged(tx, queue, {keys.BY_STATE["failed"], keys.LETTER}, query.after)
    return _of_states(tx, queue, set(query.states) or set(keys.BY_STATE), query.after)


def _of_states(tx: Transaction, queue: Queue, states: set[str], after: int) -> Iterator[int]:
    kept: dict[str, State] = {**{state: state for state in keys.BY_STATE}, "scheduled": "pending"}
    orders = {keys.BY_STATE[kept[state]] for state in states}
    found = _merged(tx, queue, orders, after)
    if "pending" not in states or "processing" in states:
        return found
    lapsed = sorted(tx.due(queue.id, keys.LEASED, tx.now))
    return heapq.merge(found, (message_id for message_id in lapsed if message_id > after))


def _merged(tx: Transaction, queue: Queue, orders: set[bytes], after: int) -> Iterator[int]:
    return heapq.merge(*(tx.in_order(queue.id, order, after + 1) for order in orders))
