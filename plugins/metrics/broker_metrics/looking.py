"""One look at all queues after the other: which are busy, and what the others did together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Container, Iterable, Mapping
from heapq import nlargest
from operator import add, sub
from typing import TypeVar

import msgspec
from broker import Overview, QueueStatus, Totals

from broker_metrics.names import COUNTED, HELD, Numbers, held_by

HALF_LIFE_MS = 600_000
"""After what time what a queue did counts half as much for how busy it is."""

LOYALTY = 2
"""How many times as busy as one that has a label another must be to take it."""

AT_ONCE = 200
"""How many queues are looked at before others get their turn: less than a millisecond."""

T = TypeVar("T")


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a look found; queues by their ids."""

    at: int
    """When, in milliseconds UTC."""
    queues: Mapping[int, QueueStatus]
    """All of them."""
    scores: Mapping[int, float]
    """How busy they are: messages that came and went lately."""
    own: Mapping[int, QueueStatus]
    """Those that have a label of their own."""
    dead_letter_queues: Container[str]
    """The names of those to which others send their dead letters."""
    held: Numbers
    """What the others hold."""
    done: Numbers
    """What was done that is seen under no label of a queue."""


async def look(overview: Overview, last: Look | None, *, most: int) -> Look:
    """Return what there is to see now, after what was seen last; `most` queues get a label."""
    grown: dict[int, Numbers] = {}
    scores: dict[int, float] = {}
    dead_letter_queues: set[str] = set()
    decay = 1.0 if last is None else 0.5 ** ((overview.at - last.at) / HALF_LIFE_MS)
    async for status in _in_turns(overview.queues):
        number = status.queue.id
        letters_to = status.queue.policy.dead_letter_queue
        if letters_to is not None and letters_to != status.queue.name:
            dead_letter_queues.add(letters_to)
        if last is None:
            scores[number] = _expect(status, overview.at)
            continue
        growth = _growth(status, last.queues.get(number))
        if growth is not None:
            grown[number] = growth
        scores[number] = last.scores.get(number, 0) * decay + _activity(status, growth)
    queues = {status.queue.id: status for status in overview.queues}
    before = {} if last is None else last.own
    own = {number: queues[number] for number in _busiest(scores, before, most)}
    others = [status for number, status in queues.items() if number not in own]
    return Look(
        at=overview.at,
        queues=queues,
        scores=scores,
        own=own,
        dead_letter_queues=dead_letter_queues,
        held=await _hold(others, overview.at, dead_letter_queues),
        done=(0,) * len(COUNTED) if last is None else await _do(last, grown, own),
    )


def done_in(status: QueueStatus) -> Numbers:
    """Return what was done in a queue since it was made, in the order of `COUNTED`."""
    return msgspec.structs.astuple(status.totals)


def _growth(status: QueueStatus, before: QueueStatus | None) -> Numbers | None:
    """Return what was done since, all of it in a new queue; None for nothing."""
    if before is None:
        return done_in(status)
    if status.totals == before.totals:
        return None
    # A store that was repaired may count less than it did.
    return tuple(max(0, growth) for growth in map(sub, done_in(status), done_in(before)))


def _activity(status: QueueStatus, growth: Numbers | None) -> float:
    holds_some = status.counts.pending > 0 or status.counts.failed > 0
    return holds_some + (0 if growth is None else growth[_PUBLISHED] + growth[_DELIVERED])


def _expect(status: QueueStatus, at: int) -> float:
    """Return how busy a queue is if it always did as much as it did since it was made."""
    age = max(1, at - status.queue.created_at)
    return _activity(status, done_in(status)) * min(1, HALF_LIFE_MS / age)


def _busiest(scores: Mapping[int, float], own: Iterable[int], most: int) -> list[int]:
    ranks = {**scores, **{number: LOYALTY * scores.get(number, -1) for number in own}}
    return [number for number in nlargest(most, ranks, ranks.__getitem__) if number in scores]


async def _hold(
    others: Iterable[QueueStatus], at: int, dead_letter_queues: Container[str]
) -> Numbers:
    """Return what queues hold together; of their ages the greatest, but for those that nobody is
    meant to empty."""
    held: Numbers = (0,) * len(HELD)
    oldest: float = 0
    async for status in _in_turns(others):
        is_target = status.queue.name in dead_letter_queues
        *held_here, age = held_by(status, at, is_dead_letter_queue=is_target)
        held = tuple(map(add, held, held_here))
        if not is_target and not status.queue.policy.paused:
            oldest = max(oldest, age)
    return (*held, oldest)


async def _do(last: Look, grown: Mapping[int, Numbers], own: Mapping[int, QueueStatus]) -> Numbers:
    """Return what was done until now that is seen under no label of a queue."""
    done = last.done
    seen_last = {status.queue.name: status for status in last.own.values()}
    async for number, growth in _in_turns(grown.items()):
        status = own.get(number)
        before = None if status is None else seen_last.get(status.queue.name)
        if status is None or before is None:
            unseen = growth
        else:
            unseen = _unseen(growth, done_in(status), done_in(before))
        done = tuple(map(add, done, unseen))
    return done


def _unseen(growth: Numbers, now: Numbers, before: Numbers) -> Numbers:
    """Return what of a growth nobody sees who compares counters, and takes one that is less than
    before for one that began anew: a queue may have been deleted and made again."""
    seen = (new if new < old else new - old for new, old in zip(now, before, strict=True))
    return tuple(max(0, all_of_it - part) for all_of_it, part in zip(growth, seen, strict=True))


async def _in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield items, and let others have their turn now and then."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)


_FIELDS = Totals.__struct_fields__
_PUBLISHED, _DELIVERED = _FIELDS.index("published"), _FIELDS.index("delivered")
