"""Crowds: what a queue holds beside the messages that somebody wants makes nothing slower."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, TypeAlias

import pytest

from broker.models import Counts
from broker.ordered import OrderedStorage
from broker.storage import Storage
from broker.testing.steps import Steps, python_steps
from broker.testing.storage.bench import Workbench
from broker.testing.storage.store_steps import store_steps

AT_ONCE = 1000
"""How many messages are published, leased, settled and looked after by one call."""


async def crowd_delayed(bench: Workbench, count: int) -> None:
    """Fill the queue with messages that are not due."""
    await publish_many(bench, count, delay=3600)


async def crowd_leased(bench: Workbench, count: int) -> None:
    """Fill the queue with messages under a lease."""
    await publish_many(bench, count)
    for _ in range(0, count, AT_ONCE):
        await bench.take(limit=AT_ONCE, seconds=3600)


async def crowd_finished(bench: Workbench, count: int) -> None:
    """Fill the queue with messages of which every other one failed."""
    await publish_many(bench, count)
    while leases := await bench.take(limit=AT_ONCE):
        await bench.settle(
            *(bench.op(lease, "ack") for lease in leases[::2]),
            *(bench.op(lease, "reject") for lease in leases[1::2]),
        )


async def crowd_elsewhere(bench: Workbench, count: int) -> None:
    """Fill another queue with messages that could be leased."""
    await publish_many(bench, count, queue="other")


Crowd: TypeAlias = Callable[[Workbench, int], Awaitable[None]]

CROWDS: dict[str, Crowd] = {
    "delayed": crowd_delayed,
    "leased": crowd_leased,
    "finished": crowd_finished,
    "elsewhere": crowd_elsewhere,
}


class Crowds:
    """The rows about a hundred thousand other messages."""

    crowd_messages: ClassVar[int] = 100_000
    """How many messages make a crowd; a slow storage may take fewer."""

    def count_steps(self, storage: Storage) -> AbstractAsyncContextManager[Steps]:
        """Count, by whatever unit fits the storage, what it does until the context is left.

        By default that is the keys that it reads and changes, for an `OrderedStorage`, and else
        the instructions that Python carries out in this thread. Override it if your storage works
        elsewhere, and let it count rows or steps there; never time, which depends on more.
        """
        return store_steps(storage) if isinstance(storage, OrderedStorage) else python_steps()

    @pytest.mark.parametrize("crowd", CROWDS)
    async def test_a_crowd_makes_no_operation_longer(self, bench: Workbench, crowd: str) -> None:
        await bench.make_queue()
        await bench.make_queue("other")
        await self.steps_of_all(bench)  # what is done only once is done
        alone = await self.steps_of_all(bench)
        await CROWDS[crowd](bench, self.crowd_messages)
        crowded = await self.steps_of_all(bench)
        assert min(alone.values()) > 0, "count_steps counts nothing"
        both = {name: (alone[name], steps) for name, steps in crowded.items()}
        assert {name: pair for name, pair in both.items() if pair[1] > 2 * pair[0]} == {}

    async def test_a_crowd_that_is_delayed_is_passed_and_comes_in_order_when_it_is_due(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        crowd = await publish_many(bench, self.crowd_messages, delay=60)
        prompt = await bench.put_many(3)
        result = await bench.lease(limit=100, seconds=3600)
        assert [lease.message.id for lease in result.leases] == prompt
        assert result.next_visible_at == bench.now + 60_000
        bench.advance(60)
        came: list[int] = []
        while ids := await bench.take_ids(limit=AT_ONCE):
            came += ids
        assert came == crowd
        assert await bench.counts() == Counts(processing=len(crowd) + len(prompt))

    async def test_a_crowd_that_lapses_is_noticed_a_part_at_a_time(self, bench: Workbench) -> None:
        await bench.make_queue(max_deliveries=1, retain_failed=None)
        crowd = await publish_many(bench, self.crowd_messages)
        while await bench.take(limit=AT_ONCE, seconds=30):
            pass
        bench.advance(30)
        prompt = await bench.put()
        failed: list[int] = []
        due: int | None = bench.now
        while due is not None and due <= bench.now:
            done = await bench.maintain(limit=AT_ONCE)
            assert len(done.ended) <= AT_ONCE
            failed += [one.id for one in done.ended]
            due = done.next_due
        assert sorted(failed) == crowd
        assert await bench.take_ids() == [prompt]
        assert await bench.counts() == Counts(processing=1, failed=len(crowd))

    async def steps_of_all(self, bench: Workbench) -> dict[str, int]:
        """Do what is done to a message, and return how many steps each operation took."""
        steps: dict[str, int] = {}

        async def count(name: str, operation: Awaitable[Any]) -> Any:
            async with self.count_steps(bench.storage) as counted:
                result = await operation
            steps[name] = counted.taken
            return result

        await count("publish", bench.put())
        lease = await count("lease", bench.take_one())
        await count("extend", bench.do(lease, "extend", seconds=60))
        await count("retry", bench.do(lease, "retry"))
        await count("release", bench.do(await bench.take_one(), "release"))
        await count("ack", bench.ack(await bench.take_one()))
        await count("get_queues", bench.status())
        await count("maintain", bench.maintain())
        await count("lease nothing", bench.take(limit=1))
        return steps


async def publish_many(bench: Workbench, count: int, **fields: Any) -> list[int]:
    """Publish this many messages, no more than AT_ONCE at a time; return their ids."""
    ids: list[int] = []
    while len(ids) < count:
        ids += await bench.put_many(min(AT_ONCE, count - len(ids)), **fields)
    return ids
