"""The engine over the memory storage, under a clock that stands still."""

import asyncio

import pytest

from broker import (
    Allowance,
    Broker,
    BrokerInfo,
    Draft,
    Forbidden,
    Identity,
    Interceptor,
    Invalid,
    LeaseLost,
    MessageNotFound,
    MessageQuery,
    MessageTooLarge,
    Observer,
    QueueExists,
    QueueNotFound,
    QueuePolicy,
    QueueSpec,
    RateLimiter,
    Receipt,
    Rejected,
    Settlement,
    Unsupported,
    VersionMismatch,
    read_receipt,
)
from broker.builtin.memory import MemoryStorage
from broker.builtin.scopes import ScopeAuthorizer
from broker.engine import Providers
from broker.testing import ManualClock

ADMIN = Identity(subject="root", scopes=frozenset({"admin"}))


class Recorder(Observer):
    def __init__(self):
        self.events = []

    def notify(self, events):
        self.events += events

    def kinds(self):
        return [event.kind for event in self.events]


class House:
    """An engine with everything around it, open."""

    def __init__(self, *, storage=None, interceptors=(), limiter=None, require_receipt=False):
        self.clock = ManualClock()
        self.storage = storage or MemoryStorage()
        self.seen = Recorder()
        self.broker = Broker(
            Providers(
                storage=("memory", self.storage),
                authorizer=("scopes", ScopeAuthorizer()),
                interceptors=tuple(("acme", one) for one in interceptors),
                limiter=None if limiter is None else ("limits", limiter),
                observers=(("seen", self.seen),),
            ),
            clock=self.clock,
            info=BrokerInfo(
                version="1",
                started_at=self.clock.now(),
                storage="memory",
                capabilities=self.storage.capabilities,
            ),
            anonymous=True,
            require_receipt=require_receipt,
        )

    async def __aenter__(self):
        await self.storage.open()
        await self.broker.queues.create(ADMIN, QueueSpec("q"))
        self.seen.events.clear()
        return self

    async def __aexit__(self, *_):
        self.broker.drain()
        await self.storage.close()

    async def publish(self, *bodies, queue="q", **options):
        drafts = [Draft(queue=queue, body=body, **options) for body in bodies]
        return [result.id for result in await self.broker.publish(ADMIN, drafts)]

    async def lease(self, queue="q", **options):
        return (await self.broker.lease(ADMIN, queue, **options)).deliveries

    def begin_lease(self, **options):
        return asyncio.ensure_future(self.lease(**options))

    async def status(self, queue="q"):
        return await self.broker.queues.get(ADMIN, queue)


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


def ack(delivery):
    return Settlement(receipt=read_receipt(delivery.receipt), kind="ack")


async def test_what_is_published_is_leased_and_acked():
    async with House() as house:
        [message_id] = await house.publish(b"hello")
        [delivery] = await house.lease()
        result = await house.broker.settle_one(ADMIN, ack(delivery))

    assert (delivery.message.id, delivery.message.body) == (message_id, b"hello")
    assert (result.outcome, result.state) == ("ok", "processed")
    assert house.seen.kinds() == ["message.published", "message.leased", "message.acked"]


async def test_a_long_poll_gets_what_is_published_while_it_waits():
    async with House() as house:
        waiting = house.begin_lease(wait=20)
        await turns()
        assert not waiting.done()

        await house.publish(b"at last")

        [delivery] = await waiting
        assert delivery.message.body == b"at last"


async def test_a_long_poll_ends_empty_when_its_time_is_over():
    async with House() as house:
        waiting = house.begin_lease(wait=20)
        for _ in range(4):
            await turns()
            house.clock.advance(5)

        assert await waiting == []


@pytest.mark.parametrize("case", ["delayed", "lapsed"])
async def test_a_long_poll_gets_what_time_makes_visible(case):
    async with House() as house:
        if case == "delayed":
            await house.publish(b"later", delay=3)
        else:
            await house.publish(b"later")
            await house.lease(lease_seconds=3)
        waiting = house.begin_lease(wait=20)
        await turns()
        house.clock.advance(2.999)
        await turns()
        assert not waiting.done()
        house.clock.advance(0.001)

        [delivery] = await waiting
        assert delivery.message.body == b"later"


async def test_each_message_wakes_one_long_poll():
    async with House() as house:
        polls = [house.begin_lease(wait=20) for _ in range(3)]
        await turns()

        await house.publish(b"1", b"2")
        await turns()

        assert [poll.done() for poll in polls] == [True, True, False]


async def test_an_ack_wakes_who_waits_for_the_next_of_the_group():
    async with House() as house:
        await house.publish(b"1", b"2", group="g")
        [head] = await house.lease()
        waiting = house.begin_lease(wait=20)
        await turns()

        await house.broker.settle_one(ADMIN, ack(head))

        [delivery] = await waiting
        assert delivery.message.body == b"2"


async def test_resuming_a_queue_wakes_who_waits():
    async with House() as house:
        await house.publish(b"1")
        await house.broker.queues.patch(ADMIN, "q", {"paused": True})
        waiting = house.begin_lease(wait=20)
        await turns()
        assert not waiting.done()

        await house.broker.queues.patch(ADMIN, "q", {"paused": False})

        assert len(await waiting) == 1


async def test_draining_ends_long_polls_now_and_later():
    async with House() as house:
        waiting = house.begin_lease(wait=20)
        await turns()

        house.broker.drain()

        assert await waiting == []
        assert await house.lease(wait=20) == []


async def test_a_long_poll_on_a_queue_that_is_deleted_says_so():
    async with House() as house:
        waiting = house.begin_lease(wait=20)
        await turns()
        await house.broker.queues.drop(ADMIN, "q")

        with pytest.raises(QueueNotFound):
            await waiting


class SlowLease(MemoryStorage):
    """Leases at once, and answers when it is let."""

    def __init__(self):
        super().__init__()
        self.leased, self.answer = asyncio.Event(), asyncio.Event()

    async def lease(self, queue, **options):
        result = await super().lease(queue, **options)
        self.leased.set()
        await self.answer.wait()
        return result


async def test_what_was_leased_for_a_client_that_went_away_is_given_back():
    async with House(storage=SlowLease()) as house:
        await house.publish(b"1")
        poll = house.begin_lease()
        await house.storage.leased.wait()

        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll
        house.storage.answer.set()
        await turns()

        assert (await house.status()).counts.processing == 0
        [delivery] = await house.lease()
        assert delivery.message.delivery_count == 1  # as if it had not been delivered before


async def test_giving_back_wakes_the_next_who_waits():
    async with House() as house:
        await house.publish(b"1")
        taken = await house.lease()
        waiting = house.begin_lease(wait=20)
        await turns()

        await house.broker.give_back(taken)

        assert len(await waiting) == 1


class SlowPublish(MemoryStorage):
    def __init__(self):
        super().__init__()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def publish(self, batch, *, now):
        self.begun.set()
        await self.go_on.wait()
        return await super().publish(batch, now=now)


async def test_a_publish_is_finished_and_wakes_consumers_although_its_client_went_away():
    async with House(storage=SlowPublish()) as house:
        waiting = house.begin_lease(wait=20)
        publishing = asyncio.ensure_future(house.publish(b"1"))
        await house.storage.begun.wait()

        publishing.cancel()
        await asyncio.wait([publishing])
        house.storage.go_on.set()

        assert len(await waiting) == 1
        assert "message.published" in house.seen.kinds()


async def test_the_policy_fills_in_what_a_draft_leaves_out():
    async with House() as house:
        await house.broker.queues.patch(ADMIN, "q", {"default_delay": 5, "default_ttl": 60})
        [first] = await house.publish(b"policy")
        [second] = await house.publish(b"own", delay=1, ttl=2)
        now = house.clock.now()

        messages = [await house.broker.get_message(ADMIN, one) for one in (first, second)]
        assert [(m.visible_at - now, m.expires_at - now) for m in messages] == [
            (5_000, 60_000),
            (1_000, 2_000),
        ]


async def test_a_retry_waits_for_the_queues_backoff_or_for_what_it_says():
    async with House() as house:
        await house.broker.queues.patch(ADMIN, "q", {"retry_base": 2, "jitter": 0.0})
        await house.publish(b"1")
        waits = []
        for delay in (None, None, 7):
            [delivery] = await house.lease()
            receipt = read_receipt(delivery.receipt)
            result = await house.broker.settle_one(
                ADMIN, Settlement(receipt=receipt, kind="retry", delay=delay)
            )
            waits.append(result.visible_at - house.clock.now())
            house.clock.advance(60)

    assert waits == [2_000, 4_000, 7_000]


async def test_a_stale_receipt_has_no_effect():
    async with House() as house:
        await house.publish(b"1")
        [old] = await house.lease(lease_seconds=1)
        house.clock.advance(1)
        [new] = await house.lease()

        with pytest.raises(LeaseLost):
            await house.broker.settle_one(ADMIN, ack(old))
        assert (await house.broker.settle_one(ADMIN, ack(new))).outcome == "ok"


async def test_a_receipt_that_names_another_queue_opens_nothing():
    async with House() as house:
        await house.broker.queues.create(ADMIN, QueueSpec("mine"))
        await house.publish(b"theirs")
        [delivery] = await house.lease()
        real = read_receipt(delivery.receipt)
        forged = Receipt(real.token, real.message_id, 1, "mine")
        eve = Identity(subject="eve", scopes=frozenset({"consume:mine"}))

        with pytest.raises(LeaseLost):
            await house.broker.settle_one(eve, Settlement(receipt=forged, kind="ack"))
        with pytest.raises(QueueNotFound):
            await house.broker.settle_one(eve, Settlement(receipt=real, kind="ack"))


async def test_require_receipt_refuses_to_settle_without_one():
    async with House(require_receipt=True) as house:
        [message_id] = await house.publish(b"1")
        with pytest.raises(Invalid, match="^receipt: is required by this broker$"):
            await house.broker.unfenced(ADMIN, message_id)


async def test_bodies_are_bounded_by_the_queue_and_batches_by_the_broker():
    async with House() as house:
        await house.broker.queues.patch(ADMIN, "q", {"max_message_bytes": 3})
        with pytest.raises(MessageTooLarge):
            await house.publish(b"four")
        with pytest.raises(Invalid, match="expected 1 to 1000 messages, got 1001"):
            await house.publish(*[b""] * 1001)
        assert (await house.status()).counts.total == 0


class Shouts(Interceptor):
    async def before_publish(self, identity, batch):
        return [msg.__class__(**{**as_dict(msg), "body": msg.body.upper()}) for msg in batch]


def as_dict(struct):
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


class Refuses(Interceptor):
    async def before_publish(self, identity, batch):
        raise Rejected("no shouting")


async def test_interceptors_transform_or_refuse_before_anything_is_stored():
    async with House(interceptors=[Shouts()]) as house:
        await house.publish(b"quiet")
        assert (await house.lease())[0].message.body == b"QUIET"
    async with House(interceptors=[Shouts(), Refuses()]) as house:
        with pytest.raises(Rejected, match="^content: no shouting$"):
            await house.publish(b"quiet")
        assert (await house.status()).counts.total == 0


class Poor(MemoryStorage):
    capabilities = frozenset()


@pytest.mark.parametrize(
    ("options", "capability"),
    [({"priority": 9}, "priority"), ({"group": "g"}, "groups"), ({"dedup_key": "k"}, "dedup")],
)
async def test_a_message_that_the_storage_cannot_honour_is_refused(options, capability):
    async with House(storage=Poor()) as house:
        with pytest.raises(Unsupported) as caught:
            await house.publish(b"1", **options)
    [name] = options
    assert str(caught.value) == (
        f'{name}: storage "memory" does not declare the capability "{capability}"'
    )


async def test_a_policy_or_a_search_that_the_storage_cannot_honour_is_refused():
    async with House(storage=Poor()) as house:
        with pytest.raises(Unsupported, match="ordering"):
            await house.broker.queues.patch(ADMIN, "q", {"ordering": "group_fifo"})
        with pytest.raises(Unsupported, match="search"):
            await house.broker.browse(ADMIN, MessageQuery(queue="q", text="x"))


class Costs(RateLimiter):
    def __init__(self):
        self.spent = []

    async def spend(self, identity, action, cost):
        self.spent.append((action, cost))
        return Allowance(allowed=True, limit=1, remaining=1)


async def test_the_rate_limiter_is_told_of_the_action_and_of_how_much():
    limiter = Costs()
    async with House(limiter=limiter) as house:
        limiter.spent.clear()
        await house.publish(b"1", b"2", b"3")
        await house.lease(limit=10)

    assert limiter.spent == [("publish", 3), ("consume", 10)]


async def test_nobody_reaches_a_queue_without_a_scope():
    eve = Identity(subject="eve", scopes=frozenset({"read:q"}))
    async with House() as house:
        [message_id] = await house.publish(b"1")
        broker = house.broker
        for work in (
            broker.publish(eve, [Draft(queue="q", body=b"")]),
            broker.lease(eve, "q"),
            broker.delete_message(eve, message_id),
            broker.queues.drop(eve, "q"),
            broker.queues.purge(eve, "q"),
            broker.queues.patch(eve, "q", {}),
            broker.queues.put(eve, QueueSpec("q")),
        ):
            with pytest.raises(Forbidden):
                await work
        stranger = Identity(subject="nobody")
        with pytest.raises(MessageNotFound):
            await broker.get_message(stranger, message_id)
        assert await broker.queues.list(stranger) == []
        assert len(await broker.queues.list(eve)) == 1


async def test_queues_are_made_once_and_changed_by_version():
    async with House() as house:
        queues = house.broker.queues
        with pytest.raises(QueueExists):
            await queues.create(ADMIN, QueueSpec("q"))
        changed = await queues.patch(ADMIN, "q", {"lease_seconds": 7}, expect=1)
        assert (changed.version, changed.policy) == (2, QueuePolicy(lease_seconds=7))
        with pytest.raises(VersionMismatch, match='"q" was expected at version 1, it is at'):
            await queues.patch(ADMIN, "q", {"lease_seconds": 8}, expect=1)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("q", "a queue cannot be its own dead letter queue"),
        ("nowhere", "there is no such queue; create it first"),
    ],
)
async def test_a_dead_letter_queue_must_be_another_that_exists(target, problem):
    async with House() as house:
        with pytest.raises(Invalid) as caught:
            await house.broker.queues.patch(ADMIN, "q", {"dead_letter_queue": target})
    assert str(caught.value) == f"dead_letter_queue: {problem}"


async def test_listing_pages_over_queues_that_one_may_not_see():
    ana = Identity(subject="ana", scopes=frozenset({"read:*5"}))
    async with House() as house:
        for number in range(30):
            await house.broker.queues.create(ADMIN, QueueSpec(f"n{number:02}"))

        first = await house.broker.queues.list(ana, limit=2)
        second = await house.broker.queues.list(ana, limit=2, after=first[-1].queue.name)

    assert [status.queue.name for status in first + second] == ["n05", "n15", "n25"]


async def test_purge_and_redrive_end_and_count_over_many_chunks():
    async with House() as house:
        for _ in range(3):
            await house.publish(*[b"x"] * 1000)
        await house.lease(limit=7)

        assert await house.broker.queues.purge(ADMIN, "q") == 2993
        assert (await house.status()).counts.processing == 7


async def test_upkeep_reports_what_time_did():
    async with House() as house:
        async with house.broker.working():
            await house.publish(b"1", ttl=1)
            await turns()
            house.clock.advance(1)
            await turns()

        assert (await house.status()).counts.total == 0
        [event] = [event for event in house.seen.events if event.kind == "maintenance.done"]
        assert (event.subject, event.count) == ("broker", 1)
