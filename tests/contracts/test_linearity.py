"""The check of overlapping operations: what it refuses, and the reason that it gives."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from broker import BulkResult, Counts, LeaseResult, Storage, Totals
from broker.builtin.memory import MemoryStorage
from broker.testing import ManualClock, StorageContract, Workbench
from broker.testing.storage.life import Bulk, Call, Lease, Look, Publish, Settle
from broker.testing.storage.linearity import Interval
from broker.testing.storage.overlapping import History, demand_an_order

OVERLAPPING = "test_an_order_explains_what_overlapping_operations_answer"

PUBLISHED = Publish((1,))
LEASED = Lease(1, {1: ("t1", 1)})
LEASED_AGAIN = Lease(1, {1: ("t2", 2)})
ACKED = Settle(1, "t1", "ack", "ok", "processed")
RETRIED = Settle(1, "t1", "retry", "ok", "pending")
NOTHING = Lease(1, {})


def one_by_one(*calls: Call) -> list[Interval[Call]]:
    return [Interval(2 * place, 2 * place + 1, call) for place, call in enumerate(calls)]


def at_once(*calls: Call, after: list[Interval[Call]]) -> list[Interval[Call]]:
    begun, ended = 2 * len(after), 2 * len(after) + 100
    return after + [
        Interval(begun + place, ended + place, call) for place, call in enumerate(calls)
    ]


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        # two live leases
        ([PUBLISHED, LEASED, LEASED_AGAIN], "message 1 is processing, and was leased"),
        # an ack that is lost
        ([PUBLISHED, LEASED, ACKED, LEASED_AGAIN], "message 1 is processed, and was leased"),
        # seen after it was deleted
        ([PUBLISHED, Bulk("delete", 1, 1), LEASED], "message 1 is absent, and was leased"),
        # a stale token is taken
        (
            [PUBLISHED, LEASED, RETRIED, LEASED_AGAIN, ACKED],
            "message 1 is processing: the answer is stale",
        ),
        # a live token is refused
        (
            [PUBLISHED, LEASED, Settle(1, "t1", "ack", "stale", None)],
            "message 1 is processing: the answer is ok",
        ),
        # a retry at the last delivery brings it back
        (
            [PUBLISHED, LEASED, RETRIED, LEASED_AGAIN, Settle(1, "t2", "retry", "ok", "pending")],
            "message 1 becomes failed",
        ),
        # a delivery that is not counted
        (
            [PUBLISHED, LEASED, RETRIED, Lease(1, {1: ("t2", 1)})],
            "message 1 was delivered 1 times before",
        ),
        # an empty answer while there is something
        ([PUBLISHED, NOTHING], "message 1 is pending, and was passed over"),
        # the last first
        (
            [Publish((1, 2)), Lease(1, {2: ("t", 1)})],
            "those to be leased are [1], in this order",
        ),
        # a purge that finds too few, and a redrive that finds too many
        ([Publish((1, 2)), Bulk("delete", None, 1)], "delete finds 2 messages"),
        ([PUBLISHED, Bulk("redrive", None, 1)], "redrive finds 0 messages"),
        # counters that do not follow
        (
            [PUBLISHED, Look(Counts(), Totals(published=1))],
            f"the numbers are {Look(Counts(pending=1), Totals(published=1))}",
        ),
        (
            [PUBLISHED, LEASED, ACKED, Look(Counts(processed=1), Totals(published=1, delivered=1))],
            "the numbers are "
            f"{Look(Counts(processed=1), Totals(published=1, delivered=1, acked=1))}",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(calls: list[Call], reason: str) -> None:
    with pytest.raises(AssertionError) as refused:
        demand_an_order(one_by_one(*calls))
    assert str(refused.value).endswith(f": {reason}")


@pytest.mark.parametrize(
    "history",
    [
        [],
        one_by_one(PUBLISHED, LEASED, ACKED, ACKED, NOTHING),
        one_by_one(PUBLISHED, LEASED, RETRIED, LEASED_AGAIN),
        # The lease was answered last, and came first.
        at_once(ACKED, LEASED, after=one_by_one(PUBLISHED)),
        at_once(NOTHING, LEASED, after=one_by_one(PUBLISHED)),
        at_once(NOTHING, PUBLISHED, Look(Counts(), Totals()), after=[]),
        # Only the order retry, lease, delete explains all three.
        at_once(Bulk("delete", 1, 1), LEASED_AGAIN, RETRIED, after=one_by_one(PUBLISHED, LEASED)),
    ],
)
def test_what_has_an_order_passes(history: list[Interval[Call]]) -> None:
    demand_an_order(history)


def test_what_ended_before_another_began_comes_first() -> None:
    late = [*one_by_one(PUBLISHED, NOTHING), Interval(10, 11, LEASED)]
    with pytest.raises(AssertionError):
        demand_an_order(late)


def test_a_refusal_tells_how_far_the_explanation_comes() -> None:
    with pytest.raises(AssertionError) as refused:
        demand_an_order(one_by_one(PUBLISHED, LEASED, LEASED_AGAIN))
    assert str(refused.value) == (
        "no order explains the answers; at best:\n"
        f"  0-1 {PUBLISHED}\n"
        f"  2-3 {LEASED}\n"
        "and then not:\n"
        f"  4-5 {LEASED_AGAIN}: message 1 is processing, and was leased"
    )


class Doubling(MemoryStorage):
    """Answers leases that overlap with one result."""

    def __init__(self) -> None:
        super().__init__()
        self._running: dict[str, asyncio.Task[LeaseResult]] = {}

    async def lease(self, queue: str, **options: Any) -> LeaseResult:
        if queue not in self._running:
            self._running[queue] = asyncio.create_task(super().lease(queue, **options))
        try:
            return await self._running[queue]
        finally:
            self._running.pop(queue, None)


class Lagging(MemoryStorage):
    """Counts, and answers a while later."""

    async def get_queues(self, **options: Any) -> Any:
        statuses = await super().get_queues(**options)
        for _ in range(3):
            await asyncio.sleep(0)
        return statuses


class Halving(MemoryStorage):
    """Deletes one message at a time, and lets others in between."""

    async def bulk(self, query: Any, action: str, *, now: int, limit: int) -> list[BulkResult]:
        done: list[BulkResult] = []
        while more := await super().bulk(query, action, now=now, limit=1):
            done += more
            await asyncio.sleep(0)
        return done


def check(tmp_path: Path, storage: type[MemoryStorage]) -> None:
    class Contract(StorageContract):
        def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
            return storage()

    getattr(Contract(), OVERLAPPING)(tmp_path=tmp_path)


def test_a_lease_that_two_get_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is processing, and was leased"):
        check(tmp_path, Doubling)


def test_a_purge_in_steps_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no order explains the answers"):
        check(tmp_path, Halving)


def test_an_answer_that_comes_late_is_no_fault(tmp_path: Path) -> None:
    check(tmp_path, Lagging)


async def test_a_seed_decides_what_is_done() -> None:
    async def kinds(seed: int) -> list[str]:
        async with Workbench(MemoryStorage, ManualClock()) as bench:
            history = await History(bench, seed).play()
        return [type(interval.call).__name__ for interval in history]

    assert await kinds(7) == await kinds(7)
    assert await kinds(7) != await kinds(8)
