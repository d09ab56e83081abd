"""The model of linearizability: a message's life while the clock stands still, and a queue of them.

Small on purpose: who reads it believes it. Time, dead letters and groups are the state machine's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from broker.models import Counts, SettleKind, SettleOutcome, State, Totals
from broker.testing.storage.linearity import Contradiction

MAX_DELIVERIES = 2


class Publish(msgspec.Struct, frozen=True):
    """Messages were published, and got these ids."""

    ids: tuple[int, ...]


class Lease(msgspec.Struct, frozen=True):
    """Up to `limit` messages were leased: these ids, with token and delivery_count."""

    limit: int
    taken: Mapping[int, tuple[str, int]]


class Settle(msgspec.Struct, frozen=True):
    """A settle by token was answered so."""

    id: int
    token: str
    kind: SettleKind
    outcome: SettleOutcome
    state: State | None


class Bulk(msgspec.Struct, frozen=True):
    """So many messages were removed or brought back; of one id, or of all."""

    action: Literal["delete", "redrive"]
    id: int | None
    count: int


class Look(msgspec.Struct, frozen=True):
    """A queue was seen with these numbers."""

    counts: Counts
    totals: Totals


Call: TypeAlias = Publish | Lease | Settle | Bulk | Look


class Life(msgspec.Struct, frozen=True):
    """One message: absent before it is published, and after it is removed."""

    state: State | Literal["absent"] = "absent"
    token: str | None = None
    deliveries: int = 0


class Step(msgspec.Struct, frozen=True):
    """What a call made of a message, and by which of a queue's totals it counts."""

    life: Life
    counted: str | None = None


def live(message_id: int, life: Life, call: Call) -> Life:
    """Return what a call makes of one message; raises Contradiction."""
    return _step(message_id, life, call).life


def _step(message_id: int, life: Life, call: Call) -> Step:
    match call:
        case Publish(ids) if message_id in ids:
            return Step(Life("pending"), "published")
        case Lease():
            return _lease(life, message_id, call)
        case Settle(id=settled) if settled == message_id:
            return _settle(life, call)
        case Bulk(id=wanted) if wanted in (None, message_id):
            return _bulk(life, call)
    return Step(life)


def _lease(life: Life, message_id: int, call: Lease) -> Step:
    if message_id not in call.taken:
        if life.state == "pending" and len(call.taken) < call.limit:
            raise Contradiction(f"message {message_id} is pending, and was passed over")
        return Step(life)
    token, deliveries = call.taken[message_id]
    if life.state != "pending":
        raise Contradiction(f"message {message_id} is {life.state}, and was leased")
    if deliveries != life.deliveries + 1:
        raise Contradiction(f"message {message_id} was delivered {life.deliveries} times before")
    return Step(Life("processing", token, deliveries), "delivered")


def _settle(life: Life, call: Settle) -> Step:
    outcome = _outcome(life, call)
    if call.outcome != outcome:
        raise Contradiction(f"message {call.id} is {life.state}: the answer is {outcome}")
    step = _carry_out(life, call.kind) if outcome == "ok" else Step(life)
    state = step.life.state if outcome == "ok" else None
    if call.state != state:
        raise Contradiction(f"message {call.id} becomes {state}")
    return step


def _outcome(life: Life, call: Settle) -> SettleOutcome:
    if life.state == "absent":
        return "not_found"
    if life.token != call.token:
        return "stale"
    return "ok" if life.state == "processing" or call.kind == "ack" else "wrong_state"


def _carry_out(life: Life, kind: SettleKind) -> Step:
    if kind == "extend" or life.state == "processed":
        return Step(life)
    if kind == "ack":
        return Step(replace(life, state="processed"), "acked")
    if kind == "release":
        return Step(Life("pending", None, life.deliveries - 1), "released")
    if kind == "retry" and life.deliveries < MAX_DELIVERIES:
        return Step(Life("pending", None, life.deliveries), "retried")
    return Step(Life("failed", None, life.deliveries), "failed")


def _bulk(life: Life, call: Bulk) -> Step:
    if call.action == "delete" and life.state != "absent":
        return Step(Life(), "deleted")
    if call.action == "redrive" and life.state == "failed":
        return Step(Life("pending"), "redriven")
    return Step(life)


class Books(msgspec.Struct, frozen=True):
    """A queue: its messages, and what happened to them."""

    lives: tuple[Life, ...]
    """By id, those of the future too."""
    totals: Totals = Totals()


def keep(ids: Sequence[int], books: Books, call: Call) -> Books:
    """Return what a call makes of a queue's messages and its totals; raises Contradiction."""
    steps = [
        _step(message_id, life, call) for message_id, life in zip(ids, books.lives, strict=True)
    ]
    counted: Counter[str] = Counter(step.counted for step in steps if step.counted is not None)
    _compare(ids, books, call, counted)
    totals = {name: getattr(books.totals, name) + count for name, count in counted.items()}
    return Books(tuple(step.life for step in steps), replace(books.totals, **totals))


def _compare(ids: Sequence[int], books: Books, call: Call, counted: Counter[str]) -> None:
    """Compare what was answered about many messages at once."""
    match call:
        case Bulk() if call.count != counted.total():
            raise Contradiction(f"{call.action} finds {counted.total()} messages")
        case Lease():
            lives = zip(ids, books.lives, strict=True)
            ready = [message_id for message_id, life in lives if life.state == "pending"]
            if [*call.taken] != ready[: call.limit]:
                raise Contradiction(f"those to be leased are {ready[: call.limit]}, in this order")
        case Look():
            states: Counter[str] = Counter(life.state for life in books.lives)
            del states["absent"]
            expected = Look(Counts(**states), books.totals)
            if call != expected:
                raise Contradiction(f"the numbers are {expected}")
