"""Which queues have a label, and what their counters show when labels change hands."""

import asyncio
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import Counts, Meter, Overview, Queue, QueuePolicy, QueueStatus, Totals
from broker_metrics.looking import HALF_LIFE_MS
from broker_metrics.names import COUNTED
from broker_metrics.queues import QueueNumbers

SECOND = 1_000


class World:
    """Queues that do something between looks, and what is shown of them."""

    def __init__(self, most):
        self.now = 1_000_000
        self.numbers = QueueNumbers(most=most)
        self.meter = Meter()
        self.numbers.show(self.meter)
        self.queues = {}
        self._ids = count(1)

    def make(self, *names):
        for name in names:
            self.queues[name] = (next(self._ids), self.now, Totals(), Counts(), None)

    def set(self, name, *, totals=None, counts=None, oldest_at=None):
        number, made, old_totals, old_counts, _ = self.queues[name]
        self.queues[name] = (number, made, totals or old_totals, counts or old_counts, oldest_at)

    def publish(self, name, messages):
        totals = self.queues[name][2]
        self.set(name, totals=Totals(published=totals.published + messages))

    async def look(self, seconds=15):
        self.now += seconds * SECOND
        await self.numbers.look(Overview(at=self.now, queues=tuple(self._statuses())))
        return self.shown()

    def shown(self):
        failures = []
        measured = {m.name: m.points for m in self.meter.read(lambda *f: failures.append(f))}
        assert failures == []
        return measured

    def _statuses(self):
        for name, (number, made, totals, counts, oldest_at) in sorted(self.queues.items()):
            yield QueueStatus(
                queue=Queue(
                    id=number,
                    name=name,
                    policy=QueuePolicy(),
                    version=1,
                    created_at=made,
                    updated_at=made,
                ),
                counts=counts,
                totals=totals,
                bytes=counts.total,
                oldest_at=oldest_at,
            )


def published(shown):
    return {labels[0]: value for labels, value in shown["broker_messages_published"].items()}


async def test_everything_that_is_known_of_a_queue_is_shown():
    world = World(most=1)
    world.make("q")
    fields = Totals.__struct_fields__
    world.set(
        "q",
        totals=Totals(**dict(zip(fields, range(1, len(fields) + 1), strict=True))),
        counts=Counts(pending=7, scheduled=3, processing=2, processed=4, failed=5),
        oldest_at=world.now - 30 * SECOND,
    )

    shown = await world.look()

    assert shown == {
        "broker_messages_published": {("q",): 1},
        "broker_messages_delivered": {("q",): 2},
        "broker_messages_settled": {
            ("q", "acked"): 3,
            ("q", "retried"): 4,
            ("q", "released"): 5,
            ("q", "failed"): 6,
        },
        "broker_messages_dead_lettered": {("q",): 7},
        "broker_messages_redriven": {("q",): 8},
        "broker_messages_lapsed": {("q",): 9},
        "broker_messages_expired": {("q",): 10},
        "broker_messages_deleted": {("q",): 11},
        "broker_messages_dropped": {("q",): 12},
        "broker_messages_retired": {("q",): 13},
        "broker_queue_messages_ready": {("q",): 4},
        "broker_queue_messages_leased": {("q",): 2},
        "broker_queue_messages_delayed": {("q",): 3},
        "broker_queue_messages_failed": {("q",): 5},
        "broker_queue_bytes": {("q",): 18},
        "broker_queue_oldest_message_age_seconds": {("q",): 45},
        "broker_queues": {(): 1},
    }


def test_all_that_storages_count_is_shown():
    assert tuple(COUNTED) == Totals.__struct_fields__


async def test_the_busiest_have_a_label_and_all_others_one_together():
    world = World(most=2)
    world.make("a", "b", "c", "d")
    await world.look()
    for name, messages in (("a", 1), ("b", 20), ("c", 300), ("d", 4_000)):
        world.publish(name, messages)
        world.set(name, counts=Counts(pending=messages), oldest_at=world.now - messages)

    shown = await world.look(1)

    assert shown["broker_queue_messages_ready"] == {("c",): 300, ("d",): 4_000, ("_other",): 21}
    assert shown["broker_queue_oldest_message_age_seconds"] == {
        ("c",): 1.3,
        ("d",): 5.0,
        ("_other",): 1.02,
    }
    assert shown["broker_queues"] == {(): 4}


async def test_a_label_is_not_lost_to_one_that_is_hardly_busier():
    world = World(most=1)
    world.make("a", "b")
    await world.look()
    world.publish("a", 100)
    assert set(published(await world.look())) == {"a", "_other"}

    world.publish("b", 150)
    assert set(published(await world.look())) == {"a", "_other"}

    world.publish("b", 150)
    assert set(published(await world.look())) == {"b", "_other"}


async def test_what_a_queue_did_long_ago_counts_little():
    world = World(most=1)
    world.make("a", "b")
    await world.look()
    world.publish("a", 1_000)
    await world.look()
    world.publish("b", 10)
    assert "a" in published(await world.look())

    world.publish("b", 10)
    shown = await world.look(10 * HALF_LIFE_MS / SECOND)

    assert "b" in published(shown)


async def test_at_the_start_those_are_busy_that_always_were():
    world = World(most=1)
    world.make("old")
    world.now += 100 * HALF_LIFE_MS
    world.make("young")
    world.publish("old", 1_000)
    world.publish("young", 100)

    assert published(await world.look()) == {"young": 100, "_other": 0}


async def test_a_counter_goes_on_when_its_queue_gets_its_label_again():
    world = World(most=1)
    world.make("a", "b")
    await world.look()
    world.publish("a", 10)
    assert published(await world.look()) == {"a": 10, "_other": 0}

    world.publish("a", 1)
    world.publish("b", 1_000)
    assert published(await world.look()) == {"b": 1_000, "_other": 1_001}

    world.publish("a", 100_000)
    assert published(await world.look()) == {"a": 100_011, "_other": 101_001}


async def test_a_new_queue_is_seen_from_its_first_message_on():
    world = World(most=2)
    world.make("a")
    await world.look()
    world.make("b")
    world.publish("b", 5)
    assert published(await world.look()) == {"a": 0, "b": 5}

    world.make("c")
    world.publish("c", 1)
    assert published(await world.look()) == {"b": 5, "c": 1, "_other": 0}


async def test_a_queue_that_was_made_anew_counts_anew():
    world = World(most=1)
    world.make("a", "b")
    world.publish("a", 10)
    await world.look()
    world.make("b")
    world.publish("b", 3)

    assert published(await world.look()) == {"a": 10, "_other": 3}


async def test_a_store_that_counts_less_than_before_takes_nothing_back():
    world = World(most=1)
    world.make("a", "b")
    world.publish("a", 10)
    world.publish("b", 5)
    await world.look()
    world.publish("b", 4)
    assert published(await world.look())["_other"] == 4
    world.set("b", totals=Totals(published=1))

    assert published(await world.look())["_other"] == 4


async def test_what_cannot_be_looked_at_is_not_shown_and_goes_on_afterwards():
    world = World(most=1)
    world.make("a", "b")
    world.publish("a", 10)
    await world.look()
    world.numbers.hide()
    assert not any(world.shown().values())

    world.publish("b", 2)

    assert published(await world.look()) == {"a": 10, "_other": 2}


async def test_a_look_that_is_given_up_changes_nothing():
    world = World(most=1)
    world.make(*map(str, range(1_000)))
    before = await world.look()
    for name in world.queues:
        world.publish(name, 1)
    looking = asyncio.ensure_future(world.look())
    await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert world.shown() == before

    after = await world.look()

    assert sum(published(after).values()) == 1_000


async def test_an_overview_that_was_seen_is_not_seen_twice():
    world = World(most=1)
    world.make("a", "b")
    await world.look()
    world.publish("a", 1)
    world.publish("b", 1)

    once = await world.look()
    assert await world.look(0) == once


BUSINESS = st.lists(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1_000), max_size=6), max_size=12
)


@settings(max_examples=200, deadline=None)
@given(BUSINESS, st.integers(1, 4))
def test_no_counter_goes_back_and_increases_add_up_to_what_happened(steps, most):
    async def live():
        world = World(most=most)
        world.make(*"abcdef")
        shown = published(await world.look())
        for step in steps:
            for name, messages in step.items():
                world.publish(name, messages)
            before, shown = shown, published(await world.look())
            grown = {label: shown[label] - before[label] for label in shown.keys() & before.keys()}
            assert min(grown.values()) >= 0
            assert sum(grown.values()) == sum(step.values())
            assert len(shown) == most + 1

    asyncio.run(live())
