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
        self.policies = {}
        self._ids = count(1)

    def make(self, *names, **policy):
        for name in names:
            self.queues[name] = (next(self._ids), self.now, Totals(), Counts(), None)
            self.policies[name] = QueuePolicy(**policy)

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
                    policy=self.policies[name],
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

    assert of("q", shown) == {
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
        "broker_queue_messages_dead": {("q",): 0},
        "broker_queue_bytes": {("q",): 18},
        "broker_queue_oldest_message_age_seconds": {("q",): 45},
        "broker_queue_paused": {("q",): 0},
        "broker_queue_is_dead_letter_target": {("q",): 0},
        "broker_queues": {},
    }
    assert shown["broker_queues"] == {(): 1}


def of(queue, shown):
    """What is shown under a label."""
    return {
        name: {labels: value for labels, value in points.items() if labels[:1] == (queue,)}
        for name, points in shown.items()
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


async def test_the_others_are_shown_before_there_are_any():
    world = World(most=1)

    shown = await world.look()

    assert {value for value in of("_other", shown).values() for value in value.values()} == {0}
    assert published(shown) == {"_other": 0}


async def test_what_a_new_queue_did_first_is_among_what_the_others_did():
    # Of a counter that is new, nobody can tell by how much it has grown.
    world = World(most=2)
    world.make("a")
    await world.look()
    world.make("b")
    world.publish("b", 5)
    assert published(await world.look()) == {"a": 0, "b": 5, "_other": 5}

    world.publish("b", 2)
    assert published(await world.look()) == {"a": 0, "b": 7, "_other": 5}


@pytest.mark.parametrize(
    ("messages", "others"),
    [
        (3, 0),  # 3 after 10 is a counter that began anew: all of it is seen
        (15, 10),  # 15 after 10 looks as if it had gone on: 5 of it are seen
    ],
)
async def test_of_a_queue_that_was_made_anew_nothing_counts_twice(messages, others):
    world = World(most=1)
    world.make("a")
    world.publish("a", 10)
    await world.look()
    world.make("a")
    world.publish("a", messages)

    assert published(await world.look()) == {"a": messages, "_other": others}


async def test_what_was_made_anew_among_the_others_counts_anew():
    world = World(most=1)
    world.make("a", "b")
    world.publish("a", 10)
    await world.look()
    world.make("b")
    world.publish("b", 3)

    assert published(await world.look()) == {"a": 10, "_other": 3}


async def test_dead_letter_queues_and_paused_ones_are_told_apart():
    world = World(most=3)
    world.make("dead")
    world.make("orders", dead_letter_queue="dead")
    world.make("paused", paused=True)
    for name in world.queues:
        world.set(name, counts=Counts(pending=2, scheduled=1), oldest_at=world.now)

    shown = await world.look()

    dead = {("dead",): 1, ("orders",): 0, ("paused",): 0, ("_other",): 0}
    assert shown["broker_queue_messages_dead"] == dead
    assert shown["broker_queue_is_dead_letter_target"] == {
        ("dead",): 1,
        ("orders",): 0,
        ("paused",): 0,
    }
    assert shown["broker_queue_paused"] == {("dead",): 0, ("orders",): 0, ("paused",): 1}


async def test_a_queue_that_names_itself_for_its_dead_letters_takes_none():
    world = World(most=1)
    world.make("a", dead_letter_queue="a")

    assert (await world.look())["broker_queue_is_dead_letter_target"] == {("a",): 0}


async def test_nobody_waits_for_what_is_paused_or_dead_among_the_others():
    world = World(most=1)
    world.make("dead", "slow")
    world.make("paused", paused=True)
    world.make("busy", dead_letter_queue="dead")
    world.publish("busy", 1_000)
    for name, seconds in (("dead", 100), ("paused", 50), ("slow", 7)):
        counts = Counts(pending=3)
        world.set(name, counts=counts, oldest_at=world.now - seconds * SECOND)

    shown = await world.look(1)

    assert of("_other", shown)["broker_queue_oldest_message_age_seconds"] == {("_other",): 8}
    assert of("_other", shown)["broker_queue_messages_dead"] == {("_other",): 3}
    assert of("_other", shown)["broker_queue_messages_ready"] == {("_other",): 9}


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


async def test_nobody_is_busier_for_being_seen_in_one_overview_again_and_again():
    world = World(most=1)
    world.make("a", "b")
    await world.look()
    world.publish("a", 10)
    world.set("b", counts=Counts(pending=1))

    for seconds in (15, *[0] * 50):
        assert published(await world.look(seconds)) == {"a": 10, "_other": 0}


NAMES = st.sampled_from("abcdef")
BUSINESS = st.lists(
    st.tuples(
        st.sets(NAMES, max_size=2),  # deleted and made anew, or made
        st.dictionaries(NAMES, st.integers(1, 1_000), max_size=6),  # published to
    ),
    max_size=12,
)


def grown(before, after):
    """By how much Prometheus takes counters to have grown: nothing is known of those that are new,
    and one that went back began anew."""
    return {
        label: after[label] if after[label] < before[label] else after[label] - before[label]
        for label in after.keys() & before.keys()
    }


@settings(max_examples=300, deadline=None)
@given(BUSINESS, st.integers(1, 7))
def test_increases_add_up_to_what_happened_in_all_queues(steps, most):
    async def live():
        world = World(most=most)
        world.make(*"abc")
        shown = published(await world.look())
        for made, step in steps:
            world.make(*made)
            there = {name: messages for name, messages in step.items() if name in world.queues}
            for name, messages in there.items():
                world.publish(name, messages)
            before, shown = shown, published(await world.look())
            assert sum(grown(before, shown).values()) == sum(there.values())
            assert len(shown) == min(most, len(world.queues)) + 1

    asyncio.run(live())


@settings(max_examples=100, deadline=None)
@given(BUSINESS, st.integers(1, 7))
def test_no_counter_goes_back_when_labels_change_hands(steps, most):
    async def live():
        world = World(most=most)
        world.make(*"abcdef")
        highest = {}
        for _, step in steps:
            for name, messages in step.items():
                world.publish(name, messages)
            for label, value in published(await world.look()).items():
                assert value >= highest.get(label, 0)
                highest[label] = value

    asyncio.run(live())
