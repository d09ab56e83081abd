"""Looking into queues, once and many times."""

import pytest
from house import ADMIN, House

from broker import (
    Allowance,
    Authorizer,
    Forbidden,
    Identity,
    MessageQuery,
    Page,
    QueueNotFound,
    QueueSpec,
    RateLimited,
    RateLimiter,
    Unavailable,
    Unsupported,
)
from broker.builtin.memory import MemoryStorage

READER = Identity(subject="ana", scopes=frozenset({"read:q*", "publish:seen"}))


class Counted(MemoryStorage):
    def __init__(self):
        super().__init__()
        self.calls = []

    async def get_queues(self, **options):
        self.calls.append("get_queues")
        return await super().get_queues(**options)

    async def browse_each(self, queries, *, now):
        self.calls.append("browse_each")
        return await super().browse_each(queries, now=now)


class Poor(Counted):
    capabilities = frozenset()


class Limiter(RateLimiter):
    """Lets each queue be read so many times."""

    def __init__(self, **allowed):
        self.allowed = allowed
        self.calls = []

    async def spend(self, spendings):
        costs = {one.queue: one.cost for one in spendings if one.activity == "read"}
        self.calls.append(costs)
        if any(cost > self.allowed.get(queue, 1000) for queue, cost in costs.items()):
            return Allowance(allowed=False, retry_after=2.0, refused_by="reads")
        for queue, cost in costs.items():
            self.allowed[queue] = self.allowed.get(queue, 1000) - cost
        return Allowance(allowed=True)


def look(queue="q", **options):
    return MessageQuery(queue=queue, **options)


def shown(answers):
    """The bodies of pages, and of errors what they are."""
    return [
        [message.body for message in answer.messages]
        if isinstance(answer, Page)
        else (type(answer), str(answer))
        for answer in answers
    ]


async def make(house, *names):
    for name in names:
        await house.broker.queues.create(ADMIN, QueueSpec(name))
    house.storage.calls = []


async def test_each_query_is_answered_as_browse_answers_it():
    async with House(storage=Counted()) as house:
        await make(house, "q2", "seen", "hidden")
        await house.publish(b"1", b"2")
        await house.publish(b"3", queue="q2")
        queries = [
            look("q2"),
            look("nowhere"),
            look("q-gone"),
            look("seen"),
            look(limit=1),
            look("hidden"),
        ]
        answers = await house.broker.browse_each(READER, queries)
        assert shown(answers) == [
            [b"3"],
            (QueueNotFound, 'there is no queue "nowhere"'),
            (QueueNotFound, 'there is no queue "q-gone"'),
            (Forbidden, str(Forbidden("read:seen"))),
            [b"1"],
            (QueueNotFound, 'there is no queue "hidden"'),
        ]
        for query, answer in zip(queries, answers, strict=True):
            try:
                assert await house.broker.browse(READER, query) == answer
            except (QueueNotFound, Forbidden) as error:
                assert (type(error), str(error)) == (type(answer), str(answer))


async def test_a_hundred_queues_cost_one_look_and_one_more_if_they_are_not_known_yet():
    storage = Counted()
    names = [f"q{number}" for number in range(100)]
    async with House(storage=storage) as house:
        for name in names:
            await storage.put_queue(QueueSpec(name), expect=0, now=house.clock.now())
        for _ in range(2):
            assert len(await house.broker.browse_each(ADMIN, [look(name) for name in names])) == 100
    assert storage.calls[-3:] == ["get_queues", "browse_each", "browse_each"]


async def test_the_storage_is_not_asked_for_what_is_refused_anyway():
    async with House(storage=Counted()) as house:
        await make(house)
        [answer] = await house.broker.browse_each(Identity(subject="eve"), [look()])
        assert await house.broker.browse_each(READER, []) == []
    assert isinstance(answer, QueueNotFound)
    assert house.storage.calls == []


async def test_a_search_that_the_storage_cannot_do_is_refused_and_nothing_else():
    async with House(storage=Poor()) as house:
        await make(house, "q2")
        await house.publish(b"1")
        answers = await house.broker.browse_each(ADMIN, [look(text="x"), look()])
    assert shown(answers)[1] == [b"1"]
    assert isinstance(answers[0], Unsupported)


async def test_all_that_is_looked_at_is_paid_for_at_once():
    limiter = Limiter()
    async with House(storage=Counted(), limiter=limiter) as house:
        await make(house, "q2")
        limiter.calls.clear()
        await house.broker.browse_each(ADMIN, [look(), look("q2"), look(states=("failed",))])
    assert limiter.calls == [{"q": 2, "q2": 1}]


async def test_of_what_cannot_all_be_paid_for_so_much_is_looked_at_as_can():
    limiter = Limiter(q=2)
    async with House(storage=Counted(), limiter=limiter) as house:
        await make(house, "q2")
        await house.publish(b"1")
        await house.publish(b"2", queue="q2")
        answers = await house.broker.browse_each(ADMIN, [look(), look(), look(), look("q2")])
    assert shown([answers[0], answers[1], answers[3]]) == [[b"1"], [b"1"], [b"2"]]
    assert isinstance(answers[2], RateLimited)
    assert answers[2].retry_after == 2.0


class Broken(Authorizer):
    def permits(self, identity, action, queue):
        if queue == "q2":
            raise RuntimeError("down")
        return True


async def test_a_permission_that_cannot_be_asked_for_fails_by_itself(caplog):
    async with House(storage=Counted()) as house:
        await make(house, "q2")
        house.broker._gate._authorizer = Broken()
        answers = await house.broker.browse_each(ADMIN, [look("q2"), look()])
    assert isinstance(answers[0], Unavailable)
    assert answers[1] == Page([])


async def test_what_the_storage_fails_with_fails_all_of_them():
    class Fails(Counted):
        async def browse_each(self, queries, *, now):
            raise Unavailable("the disk is away")

    async with House(storage=Fails()) as house:
        await make(house)
        with pytest.raises(Unavailable, match="away"):
            await house.broker.browse_each(ADMIN, [look()])
