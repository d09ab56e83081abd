"""Races: many tasks at one queue, each with plans of its own, under a referee."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from itertools import cycle
from random import Random
from typing import Any, ClassVar, TypeVar

from broker.models import Counts, Message, Settle, SettleKind
from broker.testing.cancelled import cancel
from broker.testing.contract import needs
from broker.testing.storage.bench import KINDS, Workbench
from broker.testing.storage.referee import Held, Referee

T = TypeVar("T")

BATCH = 100
"""How many messages a task publishes or leases at a time, at most."""

PLANS: dict[SettleKind | None, int] = {
    "ack": 70,
    "retry": 8,
    "release": 6,
    "reject": 4,
    "extend": 6,
    None: 6,
}
"""What shall become of a lease, with weights; None: it lapses."""


class Races:
    """The rows about lease and settle under contention."""

    race_messages: ClassVar[int] = 100_000
    """How many messages a race is about; a slow storage may take fewer."""

    race_tasks: ClassVar[int] = 64
    """How many lease and settle at one time."""

    async def test_a_race_leases_no_message_twice_and_loses_none(self, bench: Workbench) -> None:
        race = Race([bench], self.race_messages)
        await race.run(self.race_tasks)
        await race.check()

    @needs("shared")
    async def test_a_race_through_two_storages_leases_no_message_twice_and_loses_none(
        self, bench: Workbench
    ) -> None:
        async with Workbench(bench.another, bench.clock) as other:
            race = Race([bench, other], self.race_messages)
            await race.run(self.race_tasks)
            await race.check()

    async def test_a_race_of_callers_that_go_away_leases_no_message_twice_and_loses_none(
        self, bench: Workbench
    ) -> None:
        race = Race([bench], self.race_messages // 10, cancelled=0.1)
        await race.run(self.race_tasks)
        await race.check()


class Race:
    """Tasks that publish, lease and settle until every message is acked or a dead letter.

    Each draws what it does from a seed of its own; in what order all that happens is up to the
    storage.
    """

    def __init__(
        self, benches: Sequence[Workbench], messages: int, *, cancelled: float = 0
    ) -> None:
        self.unpublished = messages
        self.cancelled = cancelled
        """The share of calls whose caller goes away."""
        self.referee = Referee(benches[0].clock)
        self._benches = benches

    async def run(self, tasks: int) -> None:
        """Let so many tasks race until nothing is left to do."""
        [bench, *_] = self._benches
        await bench.make_queue("dead")
        await bench.make_queue(dead_letter_queue="dead", max_deliveries=3, retain_processed=None)
        try:
            async with asyncio.TaskGroup() as group:
                for number, bench in zip(range(tasks), cycle(self._benches), strict=False):
                    group.create_task(_Racer(self, bench, Random(number)).run())
        except ExceptionGroup as failures:
            # The first task that fails ends the others, and is what the test is about.
            raise failures.exceptions[0] from failures

    async def check(self) -> None:
        """Compare what is left, and the counters, with what the tasks were told."""
        [bench, *_] = self._benches
        acked, dead = await browse_all(bench, "q"), await browse_all(bench, "dead")
        status = await bench.status()
        assert status.counts == Counts(processed=len(acked))
        assert await bench.counts("dead") == Counts(pending=len(dead))
        self.referee.check(acked, dead, status.totals)


class _Racer:
    """One task of a race."""

    def __init__(self, race: Race, bench: Workbench, random: Random) -> None:
        self._race = race
        self._referee = race.referee
        self._bench = bench
        self._random = random
        self._extended: list[Held] = []
        self._past: deque[Held] = deque(maxlen=BATCH)

    async def run(self) -> None:
        is_over = False
        while not is_over:
            await self._publish()
            await take_turns()
            leases, is_over = await self._lease()
            await take_turns()
            if self._happens(0.02):
                self._bench.advance(self._random.uniform(0, 30))
            await self._settle([*leases, *self._extended])
            await take_turns()
            if self._happens(0.05):
                await self._maintain()

    async def _publish(self) -> None:
        count = min(self._random.randint(0, BATCH), self._race.unpublished)
        self._race.unpublished -= count
        results = await self._call(
            self._bench.publish(*(self._bench.message() for _ in range(count)))
        )
        if results is None:
            self._referee.go_away()
        else:
            self._referee.published.update(result.id for result in results)

    async def _lease(self) -> tuple[list[Held], bool]:
        """Return the leases that were given, and whether there will never be any more."""
        limit, seconds = self._random.randint(1, BATCH), self._random.uniform(10, 60)
        was_published = self._race.unpublished == 0
        asked = self._referee.ask_to_lease()
        result = await self._call(self._bench.lease(limit=limit, seconds=seconds))
        if result is None:
            self._referee.go_away()
            return [], False
        self._referee.end(result.ended)
        if result.leases:
            return self._referee.lease(asked, result.leases), False
        if result.next_visible_at is not None:
            self._bench.advance(1)
        return [], was_published and result.next_visible_at is None

    async def _settle(self, leases: Sequence[Held]) -> None:
        kinds = self._random.choices([*PLANS], [*PLANS.values()], k=len(leases))
        planned = [*zip(leases, kinds, strict=True), *self._second_thoughts()]
        self._random.shuffle(planned)
        work = [(held, self._op(held, kind)) for held, kind in planned if kind is not None]
        self._past.extend(held for held, kind in planned if kind != "extend")
        self._extended = [held for held, kind in planned if kind == "extend"]
        asked = self._referee.ask_to_settle(work)
        results = await self._call(self._bench.settle(*(op for _, op in work)))
        if results is None:
            self._referee.go_away(work)
        else:
            self._referee.settle(asked, work, results)

    async def _maintain(self) -> None:
        done = await self._call(self._bench.maintain())
        if done is None:
            self._referee.go_away()
        else:
            self._referee.end(done.ended)

    def _second_thoughts(self) -> list[tuple[Held, SettleKind]]:
        """Choose a few leases that were dealt with, or left to lapse, to be settled (again)."""
        old = self._random.sample(list(self._past), k=min(3, len(self._past)))
        return [(held, self._random.choice(KINDS)) for held in old]

    def _op(self, held: Held, kind: SettleKind) -> Settle:
        return self._bench.op(held.lease, kind, seconds=self._random.choice([0, 5, 60]))

    async def _call(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return what a call answers; None if its caller went away before."""
        if not self._happens(self._race.cancelled):
            return await work
        return await cancel(work, self._random.randrange(5))

    def _happens(self, probability: float) -> bool:
        return self._random.random() < probability


async def take_turns() -> None:
    """Let the other tasks go on, also where no operation of the storage waits for anything."""
    await asyncio.sleep(0)


async def browse_all(bench: Workbench, queue: str) -> list[Message]:
    """Return all messages of a queue."""
    messages: list[Message] = []
    after: int | None = 0
    while after is not None:
        page = await bench.page(queue=queue, after=after, limit=1000)
        messages += page.messages
        after = page.after
    return messages
