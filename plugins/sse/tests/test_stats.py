"""Stats: who gets them, what they sum up, and what it costs."""

from contextlib import asynccontextmanager

import pytest
from event_stream import parse
from house import ADMIN, House, ack, turns

from broker import Identity, QueueSpec, Settlement, Unavailable, read_receipt
from broker_sse.filters import Filter
from broker_sse.stats import Stats

READER = Identity(subject="r", scopes=frozenset({"read:q"}))
AT = "2023-11-14T22:13:20.000Z"


class Watcher:
    def __init__(self, identity=ADMIN, *globs):
        self.identity = identity
        self.wants = Filter(globs=frozenset(globs or ["*"]), stats=True)
        self.pieces = []

    def show(self, piece):
        self.pieces.append(piece)

    @property
    def shown(self):
        return [event.json for event in parse(b"".join(self.pieces))]


@asynccontextmanager
async def running():
    async with House() as house:
        stats = Stats(house.broker)
        stats.start()
        house.asked = []
        get_queues = house.storage.get_queues

        async def count(**options):
            house.asked.append(house.clock.now())
            return await get_queues(**options)

        house.storage.get_queues = count
        try:
            yield house, stats
        finally:
            await stats.stop()


async def second(house):
    house.clock.advance(1)
    await turns()


async def test_nothing_is_asked_when_nobody_wants_it():
    async with running() as (house, stats):
        for _ in range(3):
            await second(house)
        assert house.asked == []
        watcher = Watcher()
        stats.join(watcher)
        await turns()
        stats.leave(watcher)
        stats.leave(watcher)
        for _ in range(3):
            await second(house)

        assert len(house.asked) == 1
        assert len(watcher.shown) == 1


async def test_what_queues_hold_is_summed_up_and_how_fast_it_goes():
    async with running() as (house, stats):
        await house.broker.queues.create(ADMIN, QueueSpec("other"))
        watcher = Watcher()
        await house.publish(b"a", b"b")
        stats.join(watcher)
        await turns()
        await house.publish(*[b"x"] * 5)
        await house.publish(b"x", queue="other", delay=60)
        done, bad, _ = await house.lease(limit=3)
        await house.broker.settle(ADMIN, [ack(done)])
        await house.broker.settle(
            ADMIN, [Settlement(receipt=read_receipt(bad.receipt), kind="reject")]
        )
        house.clock.advance(1)
        await turns()

        nothing = {"processing": 0, "processed": 0, "failed": 0, "scheduled": 0}
        assert watcher.shown == [
            {
                "timestamp": AT,
                "queues": 2,
                "pending": 2,
                **nothing,
                "published_per_second": None,
                "delivered_per_second": None,
                "acked_per_second": None,
            },
            {
                "timestamp": "2023-11-14T22:13:21.000Z",
                "queues": 2,
                "pending": 5,
                "processing": 1,
                "processed": 1,
                "failed": 1,
                "scheduled": 1,
                "published_per_second": 6.0,
                "delivered_per_second": 3.0,
                "acked_per_second": 1.0,
            },
        ]
        assert [event.name for event in parse(watcher.pieces[0])] == ["stats"]


async def test_a_queue_that_is_new_has_counted_from_nothing():
    async with running() as (house, stats):
        watcher = Watcher()
        stats.join(watcher)
        await turns()
        await house.broker.queues.create(ADMIN, QueueSpec("new"))
        await house.publish(b"x", queue="new")
        await house.broker.queues.drop(ADMIN, "q")
        await second(house)

        assert watcher.shown[1]["published_per_second"] == 1.0


async def test_only_queues_that_are_asked_for_and_may_be_read_are_summed_up():
    async with running() as (house, stats):
        for name in ("q-2", "other"):
            await house.broker.queues.create(ADMIN, QueueSpec(name))
        watchers = [Watcher(), Watcher(ADMIN, "q*"), Watcher(READER), Watcher(READER, "other")]
        for watcher in watchers:
            stats.join(watcher)
        await turns()

        assert [watcher.shown[0]["queues"] for watcher in watchers] == [3, 2, 1, 0]


async def test_one_look_a_second_is_for_all_and_one_sum_for_those_who_may_read_the_same():
    async with running() as (house, stats):
        watchers = [Watcher() for _ in range(50)]
        for watcher in watchers:
            stats.join(watcher)
        await turns()
        for _ in range(3):
            await second(house)

        assert len(house.asked) == 4
        assert len({id(watcher.pieces[-1]) for watcher in watchers}) == 1
        assert {len(watcher.pieces) for watcher in watchers} == {4}


async def test_a_storage_that_cannot_answer_is_asked_again(caplog):
    async with running() as (house, stats):
        watcher = Watcher()
        working = house.storage.get_queues
        failures = [Unavailable("not now"), RuntimeError("a bug")]

        async def fail(**_):
            raise failures.pop(0)

        house.storage.get_queues = fail
        stats.join(watcher)
        await turns()
        await second(house)
        house.storage.get_queues = working
        await second(house)

        assert [view["queues"] for view in watcher.shown] == [1]
        assert [record.message for record in caplog.records] == [
            'plugin "memory" failed to get_queues'
        ]


async def test_nothing_is_shown_as_long_as_nobody_looked_again(monkeypatch, caplog):
    async with running() as (house, stats):
        same = await house.broker.queues.overview()

        async def overview():
            return same

        monkeypatch.setattr(house.broker.queues, "overview", overview)
        watcher = Watcher()
        stats.join(watcher)
        for _ in range(3):
            await second(house)

        assert len(watcher.shown) == 1
        assert not caplog.records


async def test_who_cannot_be_authorised_now_does_not_hurt_others(monkeypatch):
    async with running() as (house, stats):
        permits = house.broker.permits

        def fail(identity, action, queue):
            if identity is READER:
                raise Unavailable("not now")
            return permits(identity, action, queue)

        monkeypatch.setattr(house.broker, "permits", fail)
        one, other = Watcher(READER), Watcher()
        stats.join(one)
        stats.join(other)
        await turns()

        assert (len(one.shown), len(other.shown)) == (0, 1)


async def test_it_can_be_stopped_twice_and_unstarted():
    async with House() as house:
        stats = Stats(house.broker)
        await stats.stop()
        stats.start()
        await stats.stop()
        await stats.stop()
