"""Overlapping operations: for each small history there is an order that explains it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, TypeVar

from broker.models import Lease
from broker.testing.storage import life
from broker.testing.storage.bench import KINDS, Workbench
from broker.testing.storage.life import Books, Call, Life
from broker.testing.storage.linearity import Interval, explain

T = TypeVar("T")

HISTORIES = 500
AT_ONCE = 20
"""How many histories go on beside each other, so that they share what a disk takes to sync."""

TASKS = 4
CALLS = 2
"""How many operations each task does; with the frame around them a history has ten."""


class Overlapping:
    """The row about what can be seen while many act at one time."""

    async def test_an_order_explains_what_overlapping_operations_answer(
        self, bench: Workbench
    ) -> None:
        for first in range(0, HISTORIES, AT_ONCE):
            seeds = range(first, first + AT_ONCE)
            histories = await asyncio.gather(*(History(bench, seed).play() for seed in seeds))
            for seed, history in zip(seeds, histories, strict=True):
                try:
                    demand_an_order(history)
                except AssertionError as error:
                    told = "\n".join(map(str, history))
                    problem = f"history {seed}: {error}\n\nall of it:\n{told}"
                    raise AssertionError(problem) from None


def demand_an_order(history: Sequence[Interval[Call]]) -> None:
    """Find an order for each message, then for the whole queue and its counters."""
    ids = sorted(
        message_id
        for interval in history
        if isinstance(interval.call, life.Publish)
        for message_id in interval.call.ids
    )
    for message_id in ids:
        explain(history, Life(), partial(life.live, message_id))
    explain(history, Books((Life(),) * len(ids)), partial(life.keep, ids))


class History:
    """What some tasks did to a queue of their own, at random: the seed decides."""

    def __init__(self, bench: Workbench, seed: int) -> None:
        self._bench = bench
        self._queue = f"history-{seed}"
        self._random = random.Random(seed)
        self._moments = count()
        self._intervals: list[Interval[Call]] = []
        self._ids: list[int] = []
        self._leases: list[Lease] = []

    async def play(self) -> list[Interval[Call]]:
        """Let the tasks run, and return what they did and saw, in the order of their ends."""
        await self._bench.make_queue(self._queue, max_deliveries=life.MAX_DELIVERIES)
        await self._record(self._publish)
        await asyncio.gather(*(self._act() for _ in range(TASKS)))
        await self._record(self._look)
        return self._intervals

    async def _act(self) -> None:
        for _ in range(CALLS):
            for _ in range(self._random.randrange(4)):
                await asyncio.sleep(0)
            choices = [self._publish, self._lease, self._lease, self._bulk, self._look]
            settling = [self._settle] * 6 if self._leases else []
            await self._record(self._random.choice(choices + settling))

    async def _record(self, call: Callable[[], Awaitable[Call]]) -> None:
        begun = next(self._moments)
        done = await call()
        self._intervals.append(Interval(begun, next(self._moments), done))

    async def _publish(self) -> Call:
        ids = await self._bench.put_many(self._random.randint(1, 2), queue=self._queue)
        self._ids += ids
        return life.Publish(tuple(ids))

    async def _lease(self) -> Call:
        limit = self._random.randint(1, 2)
        leases = await self._bench.take(self._queue, limit=limit)
        self._leases += leases
        taken = {
            lease.message.id: (lease.token.hex(), lease.message.delivery_count) for lease in leases
        }
        return life.Lease(limit, taken)

    async def _settle(self) -> Call:
        lease = self._random.choice(self._leases)
        kind = self._random.choice(KINDS)
        result = await self._bench.do(lease, kind)
        return life.Settle(lease.message.id, lease.token.hex(), kind, result.outcome, result.state)

    async def _bulk(self) -> Call:
        message_id = self._random.choice([None, *self._ids])
        ids = None if message_id is None else (message_id,)
        query: dict[str, Any] = {"queue": self._queue, "ids": ids}
        if self._random.random() < 0.5:
            return life.Bulk("redrive", message_id, await self._bench.redrive(**query))
        return life.Bulk("delete", message_id, await self._bench.delete(**query))

    async def _look(self) -> Call:
        status = await self._bench.status(self._queue)
        return life.Look(status.counts, status.totals)
