"""The engine over the memory storage, under a clock that stands still."""

import asyncio

import pytest
from house import ADMIN, House, ack, turns

from broker import (
    Allowance,
    Draft,
    Forbidden,
    Identity,
    Interceptor,
    Invalid,
    LeaseLost,
    MessageNotFound,
    MessageQuery,
    MessageTooLarge,
    NewMessage,
    QueueExists,
    QueueNotFound,
    QueuePolicy,
    QueueSpec,
    RateLimiter,
    Receipt,
    Rejected,
    Settle,
    Settlement,
    StorageFailed,
    Unsupported,
    VersionMismatch,
    read_receipt,
)
from broker.builtin.memory import MemoryStorage
from broker.errors import PluginFailure


async def test_what_is_published_is_leased_and_acked():
    async with House() as house:
        [message_id] = await house.publish(b"hello")
        [delivery] = await house.lease()
        result = await house.broker.settle_one(ADMIN, ack(delivery))

    assert (delivery.message.id, delivery.message.body) == (message_id, b"hello")
    assert (result.outcome, result.state) == ("ok", "processed")
    assert house.seen.told() == ["message.published", "message.leased", "message.acked"]


class Counting(MemoryStorage):
    looks = 0

    async def lease(self, *args, **options):
        self.looks += 1
        return await super().lease(*args, **options)


async def test_of_a_hundred_long_polls_one_looks_for_what_nobody_told_of():
    storage = Counting()
    async with House(storage=storage) as house:
        polls = [house.begin_lease(wait=20) for _ in range(100)]
        await turns()
        storage.looks = 0

        house.clock.advance(5)
        await turns()
        assert storage.looks == 1

        await storage.publish(
            [NewMessage(queue="q", body=body) for body in (b"1", b"2")], now=house.clock.now()
        )
        house.clock.advance(5)
        await turns()
        assert [poll.result()[0].message.body for poll in polls if poll.done()] == [b"1", b"2"]
        house.broker.drain()
        await asyncio.gather(*polls)


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


@pytest.mark.parametrize(("count", "looks"), [(1, 1), (2, 2), (None, 3)])
async def test_what_another_process_did_wakes_as_many_as_may_find_something(count, looks):
    storage = Counting()
    async with House(storage=storage) as house:
        polls = [house.begin_lease(wait=20) for _ in range(3)]
        await turns()
        storage.looks = 0

        house.broker.wake("q", count)
        await turns()
        assert storage.looks == looks
        house.broker.drain()
        await asyncio.gather(*polls)


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
        assert "message.published" in house.seen.told()


class SlowBulk(MemoryStorage):
    def __init__(self):
        super().__init__()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def bulk(self, query, action, **options):
        self.begun.set()
        await self.go_on.wait()
        return await super().bulk(query, action, **options)


@pytest.mark.parametrize(
    ("work", "kind"),
    [
        (lambda broker: broker.queues.purge(ADMIN, "q"), "queue.purged"),
        (lambda broker: broker.queues.drop(ADMIN, "q"), "queue.deleted"),
        (lambda broker: broker.delete_message(ADMIN, 1), "message.deleted"),
    ],
)
async def test_what_is_deleted_is_told_of_although_its_client_went_away(work, kind):
    async with House(storage=SlowBulk()) as house:
        for _ in range(2):
            await house.publish(*[b""] * 750)
        working = asyncio.ensure_future(work(house.broker))
        await house.storage.begun.wait()

        working.cancel()
        await asyncio.wait([working])
        house.storage.go_on.set()
        await turns()

        told = [event for event in house.seen.events if event.kind == kind]
        assert [event.count for event in told] == [1500 if kind == "queue.purged" else 1]


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
            await house.broker.settle_one(ADMIN, Settlement(receipt=forged, kind="ack"))
        with pytest.raises(MessageNotFound):
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
        self.calls = []
        self.spent = []

    async def spend(self, spendings):
        self.calls.append([(one.activity, one.queue, one.cost) for one in spendings])
        self.spent += self.calls[-1]
        return Allowance(allowed=True)


async def test_the_rate_limiter_is_told_of_the_action_and_of_how_much():
    limiter = Costs()
    async with House(limiter=limiter) as house:
        limiter.spent.clear()
        await house.publish(b"1", b"2", b"3")
        await house.lease(limit=10)

    assert limiter.spent == [("publish", "q", 3), ("consume", "q", 10)]


async def test_what_settles_and_publishes_to_several_queues_is_paid_for_at_once():
    limiter = Costs()
    async with House(limiter=limiter) as house:
        await house.broker.queues.create(ADMIN, QueueSpec("r"))
        await house.publish(b"1", b"2")
        leases = await house.lease(limit=2)
        limiter.calls.clear()
        drafts = [Draft(queue=queue, body=b"") for queue in ("q", "r", "q")]
        await house.broker.settle(ADMIN, [ack(lease) for lease in leases], publish=drafts)

    assert limiter.calls == [[("settle", "q", 2), ("publish", "q", 2), ("publish", "r", 1)]]


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


class SlowLook(MemoryStorage):
    """Looks at once, and answers when it is let."""

    def __init__(self):
        super().__init__()
        self.slow, self.looked, self.answer = False, asyncio.Event(), asyncio.Event()

    async def get_queues(self, **options):
        found = await super().get_queues(**options)
        if self.slow:
            self.slow = False
            self.looked.set()
            await self.answer.wait()
        return found


async def test_a_policy_that_was_read_before_it_was_changed_is_not_believed():
    async with House(storage=SlowLook()) as house:
        house.broker._runtime.queues.forget("q")
        house.storage.slow = True
        reading = asyncio.ensure_future(house.publish(b"first"))
        await house.storage.looked.wait()
        await house.broker.queues.put(ADMIN, QueueSpec("q", QueuePolicy(max_message_bytes=3)))
        house.storage.answer.set()
        await asyncio.wait([reading])
        reading.exception()

        with pytest.raises(MessageTooLarge):
            await house.publish(b"four")


async def test_who_may_not_publish_to_a_queue_may_not_send_dead_letters_there():
    eve = Identity(subject="eve", scopes=frozenset({"manage:mine", "read:secret"}))
    dead_letters = QueueSpec("mine", QueuePolicy(dead_letter_queue="secret"))
    async with House() as house:
        await house.broker.queues.create(ADMIN, QueueSpec("secret"))
        with pytest.raises(Forbidden) as caught:
            await house.broker.queues.create(eve, dead_letters)
        assert caught.value.scope == "publish:secret"
        await house.broker.queues.create(ADMIN, dead_letters)
        changed = await house.broker.queues.patch(eve, "mine", {"lease_seconds": 7})
        assert changed.policy.dead_letter_queue == "secret"  # it was there before eve came


async def test_a_queue_whose_dead_letter_queue_is_gone_can_still_be_changed():
    async with House() as house:
        queues = house.broker.queues
        await queues.create(ADMIN, QueueSpec("dead"))
        await queues.patch(ADMIN, "q", {"dead_letter_queue": "dead"})
        await queues.drop(ADMIN, "dead")

        assert (await queues.patch(ADMIN, "q", {"lease_seconds": 7})).policy.lease_seconds == 7


class MovesBeforeItDeletes(MemoryStorage):
    async def bulk(self, query, action, *, now, limit):
        leased = await self.lease("q", limit=1, lease_until=now + 1000, owner="x", now=now)
        [lease] = leased.leases
        reject = Settle(id=lease.message.id, queue="q", kind="reject", token=lease.token)
        await self.settle([reject], now=now)
        return await super().bulk(query, action, now=now, limit=limit)


async def test_a_message_that_moved_meanwhile_is_not_deleted_where_it_is_now():
    async with House(storage=MovesBeforeItDeletes()) as house:
        await house.broker.queues.create(ADMIN, QueueSpec("dead"))
        await house.broker.queues.patch(ADMIN, "q", {"dead_letter_queue": "dead"})
        [message_id] = await house.publish(b"1")

        with pytest.raises(MessageNotFound):
            await house.broker.delete_message(ADMIN, message_id)
        assert (await house.status("dead")).counts.pending == 1


async def test_settling_without_a_receipt_is_paid_for_once_whether_the_message_is_there_or_not():
    limiter = Costs()
    async with House(limiter=limiter) as house:
        [message_id] = await house.publish(b"1")
        await house.lease()
        limiter.spent.clear()
        receipt = await house.broker.unfenced(ADMIN, message_id)
        await house.broker.settle_one(ADMIN, Settlement(receipt=receipt, kind="ack"))
        with pytest.raises(MessageNotFound):
            await house.broker.unfenced(ADMIN, 999)

    assert limiter.spent == [("settle", "q", 1), ("settle", None, 1)]


class Breaks(Interceptor):
    async def before_publish(self, identity, batch):
        raise KeyError("x")


class Loses(Interceptor):
    async def before_publish(self, identity, batch):
        return batch[:-1]


class Diverts(Interceptor):
    async def before_publish(self, identity, batch):
        return [msg.__class__(**{**as_dict(msg), "queue": "elsewhere"}) for msg in batch]


BROKEN = 'plugin "acme" failed to intercept a publish'


@pytest.mark.parametrize("interceptor", [Breaks(), Loses(), Diverts()])
async def test_an_interceptor_that_breaks_is_named_and_nothing_is_stored(interceptor):
    async with House(interceptors=[interceptor]) as house:
        with pytest.raises(PluginFailure) as caught:
            await house.publish(b"1", b"2")
        assert (caught.value.problem, caught.value.status) == (BROKEN, 500)
        assert (await house.status()).counts.total == 0


async def test_one_who_leaves_makes_the_next_one_learn_of_delayed_work():
    async with House() as house:
        first = house.begin_lease(wait=20)
        second = house.begin_lease(wait=20)
        await turns()
        await house.publish(b"later", delay=1)  # wakes the first, who learns when it comes
        await turns()
        first.cancel()
        await turns()
        house.clock.advance(1)

        assert len(await second) == 1


class Failing(MemoryStorage):
    """Gives up in the operation that is named in `failing`, and in all that come after."""

    failing = None
    error = StorageFailed("the disk of acme failed; mend it")

    def _fail(self, name):
        if self.failing in (name, "all"):
            self.failing = "all"
            raise self.error

    async def publish(self, batch, **options):
        self._fail("publish")
        return await super().publish(batch, **options)

    async def maintain(self, **options):
        self._fail("maintain")
        return await super().maintain(**options)


async def test_a_storage_that_gives_up_in_an_operation_is_heard_of():
    async with House(storage=Failing()) as house:
        house.storage.failing = "publish"
        with pytest.raises(StorageFailed, match="^the storage failed; the broker stops$"):
            await house.publish(b"lost")

        assert await house.broker.failure() is Failing.error


async def test_a_storage_that_gives_up_in_its_upkeep_is_heard_of_and_left_alone(caplog):
    async with House(storage=Failing()) as house:
        house.storage.failing = "maintain"
        async with house.broker.working():
            assert await house.broker.failure() is Failing.error
            house.clock.advance(60)
            await turns()

    assert [record.getMessage() for record in caplog.records] == [Failing.error.problem]


async def test_messages_are_shown_by_their_ids_to_who_may_consume_them():
    async with House() as house:
        await house.broker.queues.create(ADMIN, QueueSpec("other"))
        a, b = await house.publish(b"a", b"b")
        [elsewhere] = await house.publish(b"c", queue="other")
        consumer = Identity(subject="c", scopes=frozenset({"consume:q"}))
        reader = Identity(subject="r", scopes=frozenset({"read:*"}))
        ids = [elsewhere, b, a, 999]

        async def bodies(identity):
            page = await house.broker.get_messages(identity, ids)
            assert page.after is None
            return [message.body for message in page.messages]

        assert await bodies(ADMIN) == [b"a", b"b", b"c"]
        assert await bodies(consumer) == [b"a", b"b"]
        assert await bodies(reader) == []


async def test_a_page_of_messages_tells_that_there_are_more():
    async with House() as house:
        large = QueueSpec("large", QueuePolicy(max_message_bytes=9 * 1024 * 1024))
        await house.broker.queues.create(ADMIN, large)
        ids = []
        for _ in range(3):
            ids += await house.publish(b"x" * 9_000_000, queue="large")
        page = await house.broker.get_messages(ADMIN, ids)

        assert [message.id for message in page.messages] == ids[:2]
        assert page.after == ids[1]


async def test_many_messages_are_looked_at_for_the_price_of_one():
    limiter = Costs()
    async with House(limiter=limiter) as house:
        ids = await house.publish(b"a", b"b")
        limiter.calls.clear()
        await house.broker.get_messages(ADMIN, ids)

        assert limiter.calls == [[("read", None, 1)]]
