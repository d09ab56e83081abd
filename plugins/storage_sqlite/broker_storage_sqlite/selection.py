"""Which messages a MessageQuery names, as SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from broker import MessageQuery

_IS_LAPSED = "status = 'processing' AND visible_at <= :now"

_STATES: Mapping[str, tuple[str, ...]] = {
    "pending": ("status = 'pending'", "shelf = 3 AND visible_at <= :now"),
    "scheduled": ("shelf = 2 AND visible_at > :now",),
    "processing": ("status = 'processing' AND visible_at > :now",),
    "processed": ("status = 'processed'",),
    "failed": ("status = 'failed'",),
}
"""Disjoint conditions, each with an index of its own, for what can be asked for."""

_EVERY_STATE = tuple(
    f"status = '{status}'" for status in ("pending", "processing", "processed", "failed")
)
"""The same for a whole queue."""

# The plus keeps the planner from walking all that is pending: dead letters have an index.
_LETTER = "origin_queue IN (SELECT name FROM queues) AND +status = 'pending'"
_LAPSED_LETTER = "origin_queue IN (SELECT name FROM queues) AND +status = 'processing'"

_REDRIVABLE: Mapping[str, tuple[str, ...]] = {
    "pending": (_LETTER, f"{_LAPSED_LETTER} AND visible_at <= :now"),
    "scheduled": (f"{_LETTER} AND visible_at > :now",),
    "failed": (
        "status = 'failed' AND (origin_queue IS NULL OR origin_queue IN (SELECT name FROM queues))",
    ),
}
"""What a redrive can bring back, of each state."""


class Selection(msgspec.Struct, frozen=True):
    """SQL that yields the ids of at most `:limit` messages after `:after`."""

    sql: str
    parameters: dict[str, Any]


def select(
    query: MessageQuery, *, now: int, limit: int, text: str | None = None, in_order: bool = True
) -> Selection:
    """Select what a query names, by id or in no order.

    `text` is apart, so that the caller decides when to search.
    """
    conditions: Iterable[str] = ("1",)
    if query.states:
        conditions = _of_states(_STATES, query)
    elif query.queue is not None:
        conditions = _EVERY_STATE
    return _select(query, conditions, now=now, limit=limit, text=text, in_order=in_order)


def select_redrivable(query: MessageQuery, *, now: int, limit: int) -> Selection:
    """Select what a redrive of a query brings back."""
    states = query.states or ("pending", "failed")
    conditions = _of_states(_REDRIVABLE, msgspec.structs.replace(query, states=states))
    return _select(query, conditions, now=now, limit=limit, text=query.text)


def _of_states(table: Mapping[str, tuple[str, ...]], query: MessageQuery) -> list[str]:
    states = set(query.states)
    if "pending" in states:
        states.discard("scheduled")
    return [condition for state in sorted(states) for condition in table.get(state, ())]


def _select(
    query: MessageQuery,
    conditions: Iterable[str],
    *,
    now: int,
    limit: int,
    text: str | None,
    in_order: bool = True,
) -> Selection:
    parameters: dict[str, Any] = {"after": query.after, "limit": limit}
    shared = ["id > :after"]
    if query.queue is not None:
        shared.append("queue_id = (SELECT id FROM queues WHERE name = :queue)")
        parameters["queue"] = query.queue
    if query.ids is not None:
        shared.append("id IN (SELECT value FROM json_each(:ids))")
        parameters["ids"] = msgspec.json.encode(query.ids).decode()
    if text is not None:
        shared.append("instr(content, :text) > 0")
        parameters["text"] = text.encode()
    if query.finished_before is not None:
        shared.append("finished_at < :finished_before")
        parameters["finished_before"] = query.finished_before
    wanted = list(conditions)
    if any(":now" in condition for condition in wanted):
        parameters["now"] = now
    return Selection(_union(shared, wanted, in_order=in_order), parameters)


def _union(shared: list[str], conditions: list[str], *, in_order: bool) -> str:
    # One branch a condition, each in order of id from an index of its own: SQLite merges them
    # and stops at the limit.
    branches = [
        f"SELECT id FROM messages WHERE {' AND '.join((*shared, condition))}"
        for condition in conditions
    ] or ["SELECT NULL AS id WHERE 0"]
    order = "ORDER BY id " if in_order else ""
    return f"{' UNION ALL '.join(branches)} {order}LIMIT :limit"
