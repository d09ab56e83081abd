import asyncio
from collections import Counter
from typing import ClassVar

import pytest
from readers import ADMIN, House, settle_loop

from broker import (
    Allowance,
    Capability,
    Forbidden,
    Identity,
    Invalid,
    Observer,
    QueueNotFound,
    RateLimited,
    RateLimiter,
)
from broker.builtin.memory import MemoryStorage
from broker.operations import consuming

MIB = 1024 * 1024


class Watched(MemoryStorage):
    """Counts what is asked of it; while it is `held`, leases are done, and answered later."""

    def __init__(self):
        super().__init__()
        self.asked = Counter()
        self.answering = asyncio.Event()
        self.answering.set()

    async def lease(self, queue, **options):
        self.asked["lease"] += 1
        result = await super().lease(queue, **options)
        await self.answering.wait()
        return result


class Shared(MemoryStorage):
    capabilities: ClassVar[frozenset[Capability]] = MemoryStorage.capabilities | {"shared"}


class Recorder(Observer):
    in_loop = True

    def __init__(self):
        self.told = []

    def notify(self, events):
        self.told += [(event.kind, event.message_id, event.subject) for event in events]


class Allowing(RateLimiter):
    """Allows so much in all, and says when there is more."""

    def __init__(self, left, retry_after=2.0):
        self.left, self.retry_after = left, retry_after
        self.spent = []

    async def spend(self, spendings):
        cost = sum(each.cost for each in spendings if each.activity == "consume")
        if cost > self.left:
            return Allowance(allowed=False, retry_after=self.retry_after)
        self.left -= cost
        self.spent.append(cost)
        return Allowance(allowed=True)


async def test_no_more_than_prefetch_are_leased_and_each_that_is_settled_brings_another():
    house = await House().open()
    await house.publish(10)
    reader = await house.read(prefetch=3)
    assert reader.ids == [1, 2, 3]

    await house.settle(reader.got[1:3])
    assert reader.ids == [1, 2, 3, 4, 5]
    await house.settle(reader.got[:1], "reject")

    assert reader.ids == [1, 2, 3, 4, 5, 6]
    assert reader.consuming.unsettled == 3
    await reader.leave()


@pytest.mark.parametrize("kind", ["ack", "retry", "release", "reject"])
async def test_every_way_to_end_a_lease_makes_room_and_an_extension_makes_none(kind):
    house = await House().open()
    await house.publish(2)
    reader = await house.read(prefetch=1)

    await house.settle(reader.got, "extend", seconds=60)
    assert len(reader.got) == 1
    await house.settle(reader.got, kind)

    assert len(reader.got) == 2
    await reader.leave()


@pytest.mark.parametrize(
    "states",
    [("processing",), ("pending", "processing", "processed", "failed")],
    ids=["leased", "every"],
)
async def test_a_purge_of_what_is_leased_makes_room(states):
    house = await House().open()
    await house.publish(1)
    reader = await house.read(prefetch=1)

    await house.broker.queues.purge(ADMIN, "q", states=states)
    await house.publish(1)
    await settle_loop()

    assert reader.ids == [1, 2]
    await reader.leave()


async def test_who_goes_leaves_at_once_what_is_unsettled_as_if_it_had_not_been_delivered():
    house = await House().open()
    await house.publish(5)
    reader = await house.read(prefetch=3)
    await house.settle(reader.got[:1])

    await reader.leave()

    counts = await house.counts()
    assert (counts.pending, counts.processing, counts.processed) == (4, 0, 1)
    again = await house.read("next", prefetch=5)
    assert [(one.message.id, one.message.delivery_count) for one in again.got] == [
        (2, 1),
        (3, 1),
        (4, 1),
        (5, 1),
    ]
    await again.leave()


async def test_who_is_to_come_again_keeps_what_was_taken_and_nothing_else():
    house = await House().open()
    await house.publish(3, body=b"x" * 40_000)
    reader = await house.read(prefetch=3)
    reader.stick()
    await reader.leave(keep=True)

    assert await house.leased_by("reader") == set(reader.ids)
    assert await house.settle(reader.got) == ["ok"] * len(reader.got)


async def test_what_was_leased_and_not_taken_is_given_back_also_by_one_who_keeps_the_rest():
    house = await House().open()
    consumer = await house.broker.consume(ADMIN, "q", prefetch=3)
    await house.publish(3, body=b"x" * 40_000)
    await consumer.fetch()
    [taken] = consumer.take()

    await consumer.close(keep=True)

    assert await house.leased_by("admin") == {taken.message.id}
    assert (await house.counts()).pending == 2


async def test_a_lapsed_lease_counts_no_more_and_is_not_given_back():
    house = await House().open(lease_seconds=10)
    await house.publish(2)
    reader = await house.read(prefetch=1)

    await house.advance(10)

    assert reader.ids == [1, 1]  # it is the first to have it again
    assert [one.message.delivery_count for one in reader.got] == [1, 2]
    await reader.leave()
    counts = await house.counts()
    assert (counts.pending, counts.processing) == (2, 0)


async def test_first_deliveries_to_several_are_in_the_order_of_publishing():
    house = await House().open()
    seen = []
    readers = [await house.read(str(n), prefetch=n + 1) for n in range(3)]
    for _ in range(20):
        await house.publish(3)
        for reader in readers:
            seen += reader.ids
            await house.settle(reader.got)
            reader.got.clear()

    assert sorted(seen) == list(range(1, len(seen) + 1))
    for reader in readers:
        assert reader.ids == sorted(reader.ids)
        await reader.leave()


async def test_one_with_a_large_prefetch_leaves_some_for_others():
    house = await House().open()
    readers = [await house.read(str(n), prefetch=1000) for n in range(4)]

    await house.publish(100)

    assert [len(reader.pieces[0]) for reader in readers] == [16, 16, 16, 16]
    assert sum(len(reader.got) for reader in readers) == 100
    for reader in readers:
        await reader.leave()


async def test_long_polls_and_streams_are_served_in_the_order_of_their_coming():
    house = await House().open()
    first = await house.read("first", prefetch=1)
    poll = asyncio.ensure_future(house.broker.lease(ADMIN, "q", wait=20))
    await settle_loop()
    second = await house.read("second", prefetch=1)

    await house.publish()
    assert (first.ids, poll.done(), second.ids) == ([1], False, [])
    await house.publish()
    assert (poll.done(), second.ids) == (True, [])
    await house.publish()

    assert second.ids == [3]
    await first.leave()
    await second.leave()


async def test_who_waits_without_work_looks_for_it_once_in_five_seconds_for_all():
    house = await House(Watched()).open()
    readers = [await house.read(str(n)) for n in range(20)]
    house.storage.asked.clear()

    for _ in range(60):
        await house.advance(1)

    assert house.storage.asked["lease"] <= 12
    for reader in readers:
        await reader.leave()


async def test_when_one_message_becomes_visible_it_is_not_everybody_who_looks():
    house = await House(Watched()).open()
    readers = [await house.read(str(n)) for n in range(20)]
    await house.publish(delay=2)
    house.storage.asked.clear()

    await house.advance(2)

    assert Counter(len(reader.got) for reader in readers) == {0: 19, 1: 1}
    assert house.storage.asked["lease"] <= 4
    for reader in readers:
        await reader.leave()


async def test_a_settlement_is_no_reason_to_look_where_nothing_was_left():
    house = await House(Watched()).open()
    await house.publish(2)
    reader = await house.read(prefetch=5)
    house.storage.asked.clear()

    await house.settle(reader.got, "extend", seconds=60)
    assert house.storage.asked["lease"] == 0
    await reader.leave()


async def test_a_paused_queue_gives_nothing_until_it_is_resumed():
    house = await House().open(paused=True)
    await house.publish(1)
    reader = await house.read()
    assert reader.got == []

    await house.broker.queues.pause(ADMIN, "q", paused=False)
    await settle_loop()

    assert reader.ids == [1]
    await reader.leave()


@pytest.mark.parametrize("prefetch", [1, 5], ids=["full", "with room"])
async def test_a_queue_that_is_deleted_ends_it(prefetch):
    house = await House().open()
    await house.publish(1)
    reader = await house.read(prefetch=prefetch)

    await house.broker.queues.drop(ADMIN, "q")
    await settle_loop()

    assert isinstance(reader.task.exception(), QueueNotFound)
    await reader.consuming.close()
    assert house.runtime.holders._by_queue == {}


async def test_a_broker_that_drains_leases_nothing_more():
    house = await House().open()
    reader = await house.read()

    house.broker.drain()
    await house.publish(1)

    assert (reader.got, reader.task.done()) == ([], False)
    await reader.leave()


async def test_who_goes_while_a_lease_is_on_its_way_gets_nothing_of_it():
    house = await House(Watched()).open()
    await house.publish(3)
    house.storage.answering.clear()
    reader = await house.read()
    other = await house.read("other")

    await reader.leave()
    house.storage.answering.set()
    await settle_loop()

    assert reader.got == []
    assert sorted(other.ids) == [1, 2, 3]
    assert await house.leased_by("reader") == set()
    assert {one.message.delivery_count for one in other.got} == {1}
    await other.leave()


async def test_to_close_twice_does_no_harm():
    house = await House().open()
    await house.publish(1)
    reader = await house.read()

    await reader.leave()
    await reader.consuming.close()

    assert (await house.counts()).pending == 1


async def test_observers_hear_of_leases_and_of_what_comes_back():
    recorder = Recorder()
    house = await House(observers=(("recorder", recorder),)).open()
    await house.publish(2)
    recorder.told.clear()
    reader = await house.read()
    await house.settle(reader.got[:1])
    await reader.leave()

    assert recorder.told == [
        ("message.leased", 1, "reader"),
        ("message.leased", 2, "reader"),
        ("message.acked", 1, "admin"),
        ("message.released", 2, "reader"),
    ]


async def test_what_is_delivered_is_what_is_paid_for():
    limiter = Allowing(1000)
    house = await House(limiter=("limits", limiter)).open()
    reader = await house.read(prefetch=10)
    for _ in range(5):
        await house.publish(7)
        await house.settle(reader.got[-7:])

    paid_ahead = sum(limiter.spent) - len(reader.got)
    assert (len(reader.got), 0 <= paid_ahead <= 10) == (35, True)
    await reader.leave()


async def test_where_the_limit_is_spent_a_stream_waits_for_as_long_and_goes_on():
    limiter = Allowing(4, retry_after=2.5)
    house = await House(Watched(), limiter=("limits", limiter)).open()
    await house.publish(6)
    reader = await house.read(prefetch=10)
    assert reader.ids == [1, 2, 3, 4]

    limiter.left = 100
    await house.advance(2.4)
    assert reader.ids == [1, 2, 3, 4]
    house.storage.asked.clear()
    await house.advance(0.1)

    assert reader.ids == [1, 2, 3, 4, 5, 6]
    await reader.leave()


async def test_one_that_waits_for_its_limit_keeps_no_work_from_others():
    limiter = Allowing(1)
    house = await House(limiter=("limits", limiter)).open()
    reader = await house.read("spent", prefetch=10)
    await house.publish(1)
    await house.settle(reader.got)
    limiter.left = 20
    poll = asyncio.ensure_future(house.broker.lease(ADMIN, "q", wait=20))
    await settle_loop()
    limiter.left = 0

    await house.publish(1)

    assert poll.done()
    await reader.leave()


async def test_a_limit_that_is_spent_at_the_start_refuses():
    house = await House(limiter=("limits", Allowing(0))).open()

    with pytest.raises(RateLimited):
        await house.broker.consume(ADMIN, "q")


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"prefetch": 0}, ["prefetch"]),
        ({"prefetch": 1001}, ["prefetch"]),
        ({"lease_seconds": 0, "prefetch": 0}, ["lease_seconds", "prefetch"]),
        ({"lease_seconds": 43_201}, ["lease_seconds"]),
    ],
)
async def test_what_is_out_of_bounds_is_refused(options, fields):
    house = await House().open()

    with pytest.raises(Invalid) as refused:
        await house.broker.consume(ADMIN, "q", **options)

    assert [error.field for error in refused.value.errors] == fields


async def test_who_may_not_consume_is_refused_before_and_in_the_midst():
    house = await House().open()
    viewer = Identity(subject="viewer", scopes=frozenset({"read:*"}))
    with pytest.raises(Forbidden):
        await house.broker.consume(viewer, "q")
    with pytest.raises(QueueNotFound):
        await house.broker.consume(ADMIN, "none")
    consumer = await house.broker.consume(ADMIN, "q")

    with pytest.raises(Forbidden):
        consumer.admit(viewer)

    assert consumer.identity is ADMIN
    await consumer.close()


async def test_large_messages_are_taken_one_at_a_time():
    house = await House().open(max_message_bytes=16 * MIB)
    await house.publish(20, body=b"x" * 100_000)
    reader = await house.read(prefetch=20)

    assert [len(piece) for piece in reader.pieces] == [1] * 20
    await reader.leave()


async def test_of_small_messages_a_piece_has_many():
    house = await House().open()
    await house.publish(1000, body=b"x" * 100)
    reader = await house.read(prefetch=1000)

    assert len(reader.got) == 1000
    assert len(reader.pieces) <= 12
    await reader.leave()


async def test_of_large_messages_that_nobody_takes_few_are_in_memory(monkeypatch):
    monkeypatch.setattr(consuming, "MAX_UNSENT_BYTES", 8 * MIB)
    house = await House().open()
    readers = [await house.read("same", prefetch=1) for _ in range(10)]
    for reader in readers:
        reader.stick()
    other = await house.read("other", prefetch=1)

    await house.publish(15, body=b"x" * MIB)

    # Half of it for one identity, and each counts twice but for a piece of 64 KiB.
    assert Counter(len(reader.got) for reader in readers) == {0: 8, 1: 2}
    assert len(other.got) == 1
    assert (await house.counts()).processing == 3
    for reader in [*readers, other]:
        await reader.leave()
    assert house.broker._consumption._memory._taken == {}


async def test_who_got_no_memory_gave_back_what_was_leased_and_tries_again(monkeypatch):
    monkeypatch.setattr(consuming, "MAX_UNSENT_BYTES", 8 * MIB)
    house = await House(Watched()).open()
    readers = [await house.read("same", prefetch=1) for _ in range(3)]
    for reader in readers:
        reader.stick()
    await house.publish(3, body=b"x" * MIB)
    [late] = [reader for reader in readers if not reader.got]
    house.storage.asked.clear()

    await house.advance(1)
    assert (len(late.got), house.storage.asked["lease"]) == (0, 1)
    for reader in readers:
        if reader is not late:
            await reader.leave()
    await house.advance(1)

    assert [(one.message.id, one.message.delivery_count) for one in late.got] == [(1, 1)]
    await late.leave()


async def test_headers_take_memory_as_bodies_do():
    house = await House().open()
    await house.publish(12, headers={"a": "x" * 16_000})
    reader = await house.read(prefetch=12)

    assert [len(piece) for piece in reader.pieces] == [4, 4, 4]
    await reader.leave()


async def test_what_lapsed_while_others_were_sent_is_leased_anew_and_not_sent_stale():
    house = await House().open(lease_seconds=10)
    await house.publish(3, body=b"x" * 40_000)
    reader = await house.read(prefetch=3)
    reader.got.clear()
    consumer = await house.broker.consume(ADMIN, "q", prefetch=3)
    await reader.leave()
    await consumer.fetch()
    assert [one.message.id for one in consumer.take()] == [1]

    await house.advance(10)
    await consumer.fetch()

    again = consumer.take()
    assert [(one.message.id, one.message.delivery_count) for one in again] == [(1, 2)]
    assert await house.settle(again) == ["ok"]
    await consumer.close()


async def test_who_is_closed_in_the_midst_of_a_lease_is_over_when_it_ends():
    house = await House(Watched()).open()
    await house.publish(1)
    house.storage.answering.clear()
    consumer = await house.broker.consume(ADMIN, "q")
    fetching = asyncio.ensure_future(consumer.fetch())
    await settle_loop()

    await consumer.close()
    house.storage.answering.set()
    await fetching
    await consumer.fetch()
    await settle_loop()

    assert consumer.take() == []
    assert (await house.counts()).processing == 0
    assert house.runtime.waiting._lines == {}


class Node(House):
    """A broker of its own over the data of another."""

    def __init__(self, house):
        storage = Shared()
        storage._data = house.storage._data
        super().__init__(storage, house.clock)


async def test_what_another_node_settled_makes_room_within_five_seconds():
    house = await House(Shared()).open()
    node = Node(house)
    await node.storage.open()
    await house.publish(5)
    reader = await house.read(prefetch=2)

    await node.settle(reader.got)
    assert len(reader.got) == 2
    await house.advance(5)

    assert reader.ids == [1, 2, 3, 4]
    await reader.leave()


async def test_what_another_node_extended_counts_on():
    house = await House(Shared()).open(lease_seconds=20)
    node = Node(house)
    await node.storage.open()
    await house.publish(2)
    reader = await house.read(prefetch=1)

    await node.settle(reader.got, "extend", seconds=60)
    for _ in range(59):
        await house.advance(1)

    assert (reader.ids, reader.consuming.unsettled) == ([1], 1)
    await reader.leave()
    assert (await house.counts()).processing == 0


async def test_of_many_leases_a_hundred_are_looked_for_at_once():
    house = await House(Shared()).open()
    node = Node(house)
    await node.storage.open()
    await house.publish(500)
    reader = await house.read(prefetch=250)
    assert reader.consuming.unsettled == 250

    await node.settle(reader.got)
    await house.advance(5)

    assert reader.consuming.unsettled == 250
    assert len(reader.got) == 500
    await reader.leave()
