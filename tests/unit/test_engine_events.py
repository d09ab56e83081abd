"""What observers are told, and in which order."""

import pytest
from house import ADMIN, House, turns

from broker import QueuePolicy, QueueSpec, Settlement, VersionMismatch, read_receipt
from broker.builtin.memory import MemoryStorage
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


async def test_events_that_nobody_wants_are_not_made(monkeypatch):
    async with House(kinds=frozenset({"message.failed"})) as house:
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

    assert made == house.seen.told() == ["message.failed"]
