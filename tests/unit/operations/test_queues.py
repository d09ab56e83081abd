"""Queues, several at once and all together."""

import pytest
from house import ADMIN, House

from broker import (
    Allowance,
    Counts,
    Forbidden,
    Identity,
    QueueNotFound,
    QueueSpec,
    QueueStatus,
    RateLimiter,
    Summary,
    Totals,
)
from broker.builtin.memory import MemoryStorage

READER = Identity(subject="ana", scopes=frozenset({"read:q*", "publish:seen"}))


class Counted(MemoryStorage):
    asked = 0

    async def get_queues(self, **options):
        self.asked += 1
        return await super().get_queues(**options)


async def make(house, *names):
    for name in names:
        await house.broker.queues.create(ADMIN, QueueSpec(name))


async def test_several_queues_are_told_of_in_one_call_each_as_by_itself():
    async with House(storage=Counted()) as house:
        await make(house, "q2", "seen")
        house.storage.asked = 0
        answers = await house.broker.queues.get_each(READER, ["q2", "gone", "q", "seen", "q2"])
        assert house.storage.asked == 1
        alone = [await house.broker.queues.get(READER, name) for name in ("q2", "q")]
    assert [answers[0], answers[2], answers[4]] == [*alone, alone[0]]
    assert [(type(answers[n]), str(answers[n])) for n in (1, 3)] == [
        (QueueNotFound, 'there is no queue "gone"'),
        (Forbidden, str(Forbidden("read:seen"))),
    ]


async def test_more_queues_than_a_list_has_can_be_told_of_at_once():
    names = [f"q{number}" for number in range(300)]
    async with House() as house:
        await make(house, *names)
        answers = await house.broker.queues.get_each(ADMIN, names)
    assert [a.queue.name for a in answers if isinstance(a, QueueStatus)] == names


class Payments(RateLimiter):
    def __init__(self):
        self.spent = []

    async def spend(self, spendings):
        self.spent += [(one.activity, one.queue) for one in spendings]
        return Allowance(allowed=True)


async def test_the_summary_adds_up_all_queues_and_is_paid_for():
    limiter = Payments()
    async with House(limiter=limiter) as house:
        await make(house, "q2")
        await house.publish(b"1", b"2", b"3")
        await house.publish(b"4", queue="q2")
        await house.lease(limit=2)
        limiter.spent.clear()
        summary = await house.broker.queues.summary(ADMIN)
    assert summary == Summary(
        queues=2, counts=Counts(pending=2, processing=2), totals=Totals(published=4, delivered=2)
    )
    assert limiter.spent == [("read", None)]


async def test_the_summary_counts_what_is_on_later_pages(monkeypatch):
    monkeypatch.setattr("broker.operations.paging.PAGE", 2)
    async with House() as house:
        await make(house, "a", "b", "z")
        assert (await house.broker.queues.summary(ADMIN)).queues == 4


async def test_the_summary_is_for_admins():
    async with House() as house:
        with pytest.raises(Forbidden, match="admin"):
            await house.broker.queues.summary(READER)
