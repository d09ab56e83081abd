"""What observers are told, and in which order."""

import asyncio

import pytest
from house import ADMIN, House, turns

from broker import (
    Draft,
    PublishResult,
    QueuePolicy,
    QueueSpec,
    Settlement,
    VersionMismatch,
    read_receipt,
)
from broker.builtin.memory import MemoryStorage
from broker.operations.maintenance import report
from broker.operations.runtime import Runtime


def settlement(delivery, kind, **options):
    return Settlement(receipt=read_receipt(delivery.receipt), kind=kind, **options)


def facts(event):
    """Return what an event says, without who and when."""
    return (event.kind, event.queue, event.message_id, event.state, event.moved_to, event.reason)


async def with_dead_letters(house):
    await house.broker.queues.create(ADMIN, QueueSpec("dead"))
    await house.broker.queues.patch(ADMIN, "q", {"dead_letter_queue": "dead"})
    house.seen.events.clear()


async def test_a_reject_is_told_and_then_that_the_message_failed():
    async with House() as house:
        [message_id] = await house.publish(b"1")
        [delivery] = await house.lease()
        house.seen.events.clear()

        await house.broker.settle_one(ADMIN, settlement(delivery, "reject", reason="torn"))

    assert [facts(event) for event in house.seen.events] == [
        ("message.rejected", "q", message_id, "failed", None, "torn"),
        ("message.failed", "q", message_id, "failed", None, "torn"),
    ]
    assert {event.subject for event in house.seen.events} == {"root"}


async def test_a_reject_into_a_dead_letter_queue_says_where_the_message_went():
    async with House() as house:
        await with_dead_letters(house)
        [message_id] = await house.publish(b"1")
        [delivery] = await house.lease()
        house.seen.events.clear()

        await house.broker.settle_one(ADMIN, settlement(delivery, "reject", reason="torn"))

    assert [facts(event) for event in house.seen.events] == [
        ("message.rejected", "q", message_id, "pending", "dead", "torn"),
        ("message.dead_lettered", "q", message_id, "pending", "dead", "torn"),
    ]


async def test_the_last_retry_is_told_and_then_that_the_message_failed():
    async with House() as house:
        await house.broker.queues.patch(ADMIN, "q", {"max_deliveries": 2})
        [message_id] = await house.publish(b"1")
        house.seen.events.clear()
        for _ in range(2):
            [delivery] = await house.lease()
            await house.broker.settle_one(ADMIN, settlement(delivery, "retry", reason="busy"))

    assert [facts(event) for event in house.seen.events if event.kind != "message.leased"] == [
        ("message.retried", "q", message_id, "pending", None, "busy"),
        ("message.retried", "q", message_id, "failed", None, "busy"),
        ("message.failed", "q", message_id, "failed", None, "busy"),
    ]


async def test_who_waits_for_dead_letters_is_woken_by_a_reject():
    async with House() as house:
        await with_dead_letters(house)
        [message_id] = await house.publish(b"1")
        [delivery] = await house.lease()
        waiting = house.begin_lease(queue="dead", wait=20)
        await turns()

        await house.broker.settle_one(ADMIN, settlement(delivery, "reject"))

        [dead] = await waiting
        assert dead.message.id == message_id


PAUSED = QueueSpec("q", QueuePolicy(paused=True))


@pytest.mark.parametrize(
    ("pause", "resume"),
    [
        (
            lambda queues: queues.pause(ADMIN, "q"),
            lambda queues: queues.pause(ADMIN, "q", paused=False),
        ),
        (
            lambda queues: queues.patch(ADMIN, "q", {"paused": True}),
            lambda queues: queues.patch(ADMIN, "q", {"paused": False}),
        ),
        (
            lambda queues: queues.put(ADMIN, PAUSED),
            lambda queues: queues.put(ADMIN, QueueSpec("q"), expect=2),
        ),
    ],
)
async def test_a_pause_and_its_end_are_told_whatever_way_they_come(pause, resume):
    async with House() as house:
        await pause(house.broker.queues)
        await resume(house.broker.queues)

        assert house.seen.told() == [
            "queue.updated",
            "queue.paused",
            "queue.updated",
            "queue.resumed",
        ]


async def test_a_change_of_something_else_is_no_pause():
    async with House() as house:
        await house.broker.queues.pause(ADMIN, "q")
        house.seen.events.clear()

        await house.broker.queues.patch(ADMIN, "q", {"lease_seconds": 7})
        await house.broker.queues.put(ADMIN, PAUSED)
        assert await house.broker.queues.pause(ADMIN, "q") is False

        assert house.seen.told() == ["queue.updated", "queue.updated"]


async def test_a_queue_that_is_made_paused_is_told_to_be():
    async with House() as house:
        await house.broker.queues.create(ADMIN, QueueSpec("still", QueuePolicy(paused=True)))

        assert [facts(event)[:2] for event in house.seen.events] == [
            ("queue.created", "still"),
            ("queue.paused", "still"),
        ]


class ChangedMeanwhile(MemoryStorage):
    """Has somebody else change the queue between a look at it and the next put."""

    change = None

    async def put_queue(self, spec, *, expect, now):
        change, self.change = self.change, None
        if change is not None:
            await super().put_queue(change, expect=None, now=now)
        return await super().put_queue(spec, expect=expect, now=now)


async def test_what_a_put_changes_is_known_although_somebody_else_changed_the_queue_meanwhile():
    async with House(storage=ChangedMeanwhile()) as house:
        house.storage.change = PAUSED

        await house.broker.queues.put(ADMIN, QueueSpec("q"))

        assert house.seen.told() == ["queue.updated", "queue.resumed"]


async def test_a_put_that_expects_a_version_gives_way_to_who_changed_the_queue_meanwhile():
    async with House(storage=ChangedMeanwhile()) as house:
        house.storage.change = PAUSED

        with pytest.raises(VersionMismatch, match="expected at version 1, it is at version 2"):
            await house.broker.queues.put(ADMIN, QueueSpec("q"), expect=1)

        assert house.seen.told() == []


@pytest.mark.parametrize("kinds", [[], ["message.failed"]])
async def test_events_that_nobody_wants_are_not_made(monkeypatch, kinds):
    async with House(kinds=frozenset(kinds)) as house:
        made = []
        make = Runtime.event

        def event(runtime, identity, kind, *where, **facts):
            made.append(kind)
            return make(runtime, identity, kind, *where, **facts)

        monkeypatch.setattr(Runtime, "event", event)
        await house.publish(b"1")
        [delivery] = await house.lease()
        await house.broker.settle_one(ADMIN, settlement(delivery, "reject"))
        await house.broker.queues.pause(ADMIN, "q")

    assert made == house.seen.told() == kinds


async def test_what_a_settlement_publishes_is_told_with_its_id_and_a_duplicate_is_not():
    async with House() as house:
        [first] = await house.publish(b"1", dedup_key="k")
        house.seen.events.clear()
        drafts = [Draft(queue="q", body=b"2"), Draft(queue="q", body=b"3", dedup_key="k")]

        settled = await house.broker.settle(ADMIN, [], publish=drafts)

    new, duplicate = settled.published
    assert (new.duplicate, duplicate) == (False, PublishResult(first, duplicate=True))
    assert [facts(event) for event in house.seen.events] == [
        ("message.published", "q", new.id, "pending", None, None)
    ]


async def test_a_settlement_that_could_not_publish_is_not_told_at_all():
    async with House() as house:
        await house.publish(b"1")
        [delivery] = await house.lease()
        ack = settlement(delivery, "ack")
        await house.broker.settle_one(ADMIN, settlement(delivery, "retry"))
        house.seen.events.clear()

        settled = await house.broker.settle(ADMIN, [ack], publish=[Draft(queue="q", body=b"2")])

    assert ([one.outcome for one in settled.results], settled.published) == (["stale"], [])
    assert house.seen.events == []


async def put_over(house, **policy):
    """Publish a message that is then delivered too often, and one whose ttl has then passed."""
    await house.broker.queues.patch(ADMIN, "q", {"max_deliveries": 1, **policy})
    [spent] = await house.publish(b"spent")
    await house.lease(lease_seconds=30)
    [late] = await house.publish(b"late", ttl=30)
    house.clock.advance(30)
    house.seen.events.clear()
    return spent, late


ENDS = [
    ("message.failed", "q", "failed", None, "not settled after 1 deliveries"),
    ("message.expired", "q", None, None, "ttl passed"),
]
LETTERS = [
    ("message.dead_lettered", "q", "pending", "dead", "not settled after 1 deliveries"),
    ("message.dead_lettered", "q", "pending", "dead", "ttl passed"),
]


@pytest.mark.parametrize(("policy", "told"), [({}, ENDS), ({"dead_letter_queue": "dead"}, LETTERS)])
async def test_what_upkeep_ends_is_told(policy, told):
    async with House() as house:
        await house.broker.queues.create(ADMIN, QueueSpec("dead"))
        ids = await put_over(house, **policy)
        async with house.broker.working():
            await turns()
        *events, done = house.seen.events

    assert {event.subject for event in events} == {"broker"}
    assert [event.message_id for event in events] == [*ids]
    assert [without_id(event) for event in events] == told
    assert (done.kind, done.count) == ("maintenance.done", 3)


@pytest.mark.parametrize(("policy", "told"), [({}, ENDS), ({"dead_letter_queue": "dead"}, LETTERS)])
async def test_what_a_lease_comes_across_that_is_over_is_told(policy, told):
    async with House() as house:
        await house.broker.queues.create(ADMIN, QueueSpec("dead"))
        ids = await put_over(house, **policy)

        assert await house.lease(limit=9) == []

    assert {event.subject for event in house.seen.events} == {"broker"}
    assert [event.message_id for event in house.seen.events] == [*ids]
    assert [without_id(event) for event in house.seen.events] == told


def without_id(event):
    kind, queue, _, *rest = facts(event)
    return (kind, queue, *rest)


class SlowLease(MemoryStorage):
    """Leases at once, and answers when it is let."""

    def __init__(self):
        super().__init__()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def lease(self, queue, **options):
        result = await super().lease(queue, **options)
        self.begun.set()
        await self.go_on.wait()
        return result


async def test_what_a_lease_ended_is_told_although_its_client_went_away():
    async with House(storage=SlowLease()) as house:
        await house.publish(b"1", ttl=30)
        house.clock.advance(30)
        leasing = house.begin_lease()
        await house.storage.begun.wait()
        leasing.cancel()
        await asyncio.wait([leasing])
        house.storage.go_on.set()
        await turns()

    assert house.seen.told() == ["message.published", "message.expired"]


@pytest.mark.parametrize("by", ["upkeep", "a lease"])
async def test_who_waits_for_dead_letters_is_woken_when_some_come_by_themselves(by):
    async with House() as house:
        await with_dead_letters(house)
        spent, late = await put_over(house)
        waiting = [house.begin_lease(queue="dead", wait=20) for _ in range(2)]
        await turns()

        if by == "upkeep":
            async with house.broker.working():
                await turns()
                assert [one.done() for one in waiting] == [True, True]
        else:
            await house.lease()
            await turns()
            assert [one.done() for one in waiting] == [True, True]

        assert [(await one)[0].message.id for one in waiting] == [spent, late]


class Looks(MemoryStorage):
    """Notes in which queues somebody looked for messages."""

    def __init__(self):
        super().__init__()
        self.looked = []

    async def lease(self, queue, **options):
        self.looked.append(queue)
        return await super().lease(queue, **options)


async def test_upkeep_wakes_those_who_wait_for_a_queue_where_something_lapsed_and_nobody_else():
    async with House(storage=Looks()) as house:
        await house.broker.queues.create(ADMIN, QueueSpec("other"))
        await house.publish(b"1", b"2")
        await house.lease(limit=2, lease_seconds=30)
        waiting = [house.begin_lease(queue=queue, wait=20) for queue in ("q", "q", "q", "other")]
        await turns()
        house.storage.looked.clear()
        result = await house.storage.maintain(now=house.clock.now() + 30_000, limit=10)
        house.storage.looked.clear()

        report(house.broker._runtime, result)
        await turns()

        assert result.lapsed == {"q": 2}
        assert house.storage.looked == ["q", "q"]
        for one in waiting:
            one.cancel()


async def test_when_the_head_of_a_group_expires_the_next_goes_to_who_waits():
    async with House() as house:
        await house.publish(b"head", delay=60, ttl=3, group="g")
        second = await house.publish(b"next", group="g")
        waiting = house.begin_lease(wait=20)
        await turns()
        house.clock.advance(3)
        await turns()
        assert not waiting.done()

        async with house.broker.working():
            await turns()
            assert waiting.done()

        assert [delivery.message.id for delivery in await waiting] == second


async def test_a_purge_of_what_is_in_flight_makes_room_for_who_waits():
    async with House() as house:
        await house.broker.queues.patch(ADMIN, "q", {"max_in_flight": 1})
        _, second = await house.publish(b"1", b"2")
        await house.lease()
        waiting = house.begin_lease(wait=20)
        await turns()

        await house.broker.queues.purge(ADMIN, "q", states=("processing",))
        await turns()

        assert waiting.done()
        assert [delivery.message.id for delivery in await waiting] == [second]


async def test_a_redrive_is_told_of_each_message_where_it_is_now_and_then_in_all():
    async with House() as house:
        await with_dead_letters(house)
        letter, failed = await house.publish(b"1", b"2")
        [first, second] = await house.lease(limit=2)
        await house.broker.settle_one(ADMIN, settlement(first, "reject"))
        await house.broker.queues.patch(ADMIN, "q", {"dead_letter_queue": None})
        await house.broker.settle_one(ADMIN, settlement(second, "reject"))
        house.seen.events.clear()

        assert await house.broker.queues.redrive(ADMIN, "dead") == 1
        assert await house.broker.queues.redrive(ADMIN, "q") == 1

    assert [(*facts(event)[:4], event.count) for event in house.seen.events] == [
        ("message.redriven", "q", letter, "pending", 1),
        ("queue.redriven", "dead", None, None, 1),
        ("message.redriven", "q", failed, "pending", 1),
        ("queue.redriven", "q", None, None, 1),
    ]


async def test_a_redrive_wakes_who_waits_where_the_messages_are_now_and_nobody_else():
    async with House(storage=Looks()) as house:
        await with_dead_letters(house)
        await house.broker.queues.create(ADMIN, QueueSpec("other"))
        await house.publish(b"1")
        [delivery] = await house.lease()
        await house.broker.settle_one(ADMIN, settlement(delivery, "reject"))
        waiting = [house.begin_lease(queue=queue, wait=20) for queue in ("q", "other")]
        await turns()
        house.storage.looked.clear()

        await house.broker.queues.redrive(ADMIN, "dead")
        await turns()

        assert ([one.done() for one in waiting], house.storage.looked) == ([True, False], ["q"])
        waiting[1].cancel()


async def test_a_purge_is_told_once_and_a_deleted_message_by_itself():
    async with House() as house:
        [message_id, *_] = await house.publish(b"1", b"2", b"3")
        house.seen.events.clear()

        await house.broker.delete_message(ADMIN, message_id)
        await house.broker.queues.purge(ADMIN, "q")

    assert [(*facts(event)[:3], event.count) for event in house.seen.events] == [
        ("message.deleted", "q", message_id, 1),
        ("queue.purged", "q", None, 2),
    ]


async def test_what_is_given_back_for_a_client_that_is_gone_is_told():
    async with House() as house:
        ids = await house.publish(b"1", b"2")
        deliveries = await house.lease(limit=2)
        await house.broker.settle_one(ADMIN, settlement(deliveries[0], "ack"))
        house.seen.events.clear()

        await house.broker.give_back(deliveries)

    assert [(event.subject, *facts(event)) for event in house.seen.events] == [
        ("broker", "message.released", "q", ids[1], "pending", None, None)
    ]
