"""What the core refuses whatever transport it came by: named whole, and paid for by nobody."""

import math

import pytest
from house import ADMIN, House

from broker import (
    Allowance,
    Draft,
    Invalid,
    MessageQuery,
    MessageTooLarge,
    QueuePolicy,
    QueueSpec,
    RateLimiter,
    Receipt,
    Settlement,
    limits,
)

NAMES = ["", "a\nb", "-a", "x" * 256, "ü", "a/b", "a\n"]
RECEIPT = Receipt(b"t" * 16, 1, 1, "q")


class Counts(RateLimiter):
    spent = 0

    async def spend(self, spendings):
        self.spent += len(spendings)
        return Allowance(allowed=True)


async def refused(ask):
    """Return the fields that a broker refuses of what is asked of it, after it took nothing."""
    limiter = Counts()
    async with House(limiter=limiter) as house:
        await house.publish(b"1")
        limiter.spent = 0
        with pytest.raises(Invalid) as caught:
            await ask(house.broker)
        assert limiter.spent == 0
        assert (await house.status()).counts.total == 1
        assert (await house.status()).queue.version == 1
    return [error.field for error in caught.value.errors]


async def first(asked):
    """Raise what the first of several was answered."""
    raise (await asked)[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "ask",
    [
        lambda broker, name: broker.queues.create(ADMIN, QueueSpec(name)),
        lambda broker, name: broker.queues.put(ADMIN, QueueSpec(name)),
        lambda broker, name: broker.queues.patch(ADMIN, name, {}),
        lambda broker, name: broker.queues.get(ADMIN, name),
        lambda broker, name: broker.queues.pause(ADMIN, name),
        lambda broker, name: broker.queues.drop(ADMIN, name),
        lambda broker, name: broker.queues.purge(ADMIN, name),
        lambda broker, name: broker.queues.redrive(ADMIN, name),
        lambda broker, name: broker.lease(ADMIN, name),
        lambda broker, name: broker.consume(ADMIN, name),
        lambda broker, name: broker.browse(ADMIN, MessageQuery(queue=name)),
        lambda broker, name: first(broker.browse_each(ADMIN, [MessageQuery(queue=name)])),
        lambda broker, name: first(broker.queues.get_each(ADMIN, [name])),
    ],
    ids=range(13),
)
async def test_no_queue_has_such_a_name(ask, name):
    assert await refused(lambda broker: ask(broker, name)) == ["queue"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"after": -1}, "after"),
        ({"after": 2**63}, "after"),
        ({"text": ""}, "q"),
        ({"text": "x" * 1025}, "q"),
        ({"text": "a\nb"}, "q"),
    ],
)
async def test_no_look_asks_for_that(options, field):
    query = MessageQuery(queue="q", **options)
    assert await refused(lambda broker: broker.browse(ADMIN, query)) == [field]
    assert await refused(lambda broker: first(broker.browse_each(ADMIN, [query]))) == [field]


@pytest.mark.parametrize("prefix", ["a b", "x" * 256, "ü", "a\n"])
async def test_no_name_begins_so(prefix):
    assert await refused(lambda broker: broker.queues.list(ADMIN, prefix=prefix)) == ["prefix"]


@pytest.mark.parametrize("message_id", [0, -1, 2**63])
@pytest.mark.parametrize("ask", ["get_message", "delete_message", "unfenced"])
async def test_no_message_has_such_an_id(ask, message_id):
    assert await refused(lambda broker: getattr(broker, ask)(ADMIN, message_id)) == ["id"]


POLICY = [
    ({"lease_seconds": 0}, ["lease_seconds"]),
    ({"lease_seconds": None}, ["lease_seconds"]),
    ({"retry_base": math.nan, "jitter": 1.5}, ["retry_base", "jitter"]),
    ({"dead_letter_queue": "a b"}, ["dead_letter_queue"]),
    ({"overflow": "explode"}, ["overflow"]),
    ({"max_messages": 0, "paused": 1}, ["max_messages", "paused"]),
]


@pytest.mark.parametrize(("policy", "fields"), POLICY)
async def test_no_policy_says_so(policy, fields):
    spec = QueueSpec("new", QueuePolicy(**policy))
    assert await refused(lambda broker: broker.queues.create(ADMIN, spec)) == fields
    assert await refused(lambda broker: broker.queues.patch(ADMIN, "q", policy)) == fields


async def test_a_name_and_a_policy_are_refused_together():
    spec = QueueSpec("-", QueuePolicy(lease_seconds=50_000))
    with pytest.raises(Invalid) as caught:
        async with House() as house:
            await house.broker.queues.create(ADMIN, spec)
    assert str(caught.value) == (
        "queue: expected text like ^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$; "
        "lease_seconds: expected int <= 43200"
    )


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"priority": 10}, "priority"),
        ({"priority": -1}, "priority"),
        ({"delay": -1}, "delay"),
        ({"delay": 10.0**12}, "delay"),
        ({"delay": math.nan}, "delay"),
        ({"ttl": 0}, "ttl"),
        ({"group": ""}, "group"),
        ({"group": "a\nb"}, "group"),
        ({"dedup_key": "x" * 256}, "dedup_key"),
        ({"content_type": "text/\x00"}, "content_type"),
        ({"headers": {"a": "\r\n"}}, "headers"),
        ({"headers": {"": "x"}}, "headers"),
        ({"headers": {str(n): "" for n in range(65)}}, "headers"),
        ({"headers": {"a": "x" * 20_000}}, "headers"),
        # 16 000 characters, and twice as many bytes.
        ({"headers": {"a": "ü" * 16_000}}, "headers"),
        ({"queue": "a b"}, "queue"),
    ],
)
async def test_no_message_is_such(options, field):
    drafts = [Draft(queue="q", body=b"fine"), Draft(**{"queue": "q", "body": b"", **options})]
    assert await refused(lambda broker: broker.publish(ADMIN, drafts)) == [f"messages[1].{field}"]
    settle = await refused(lambda broker: broker.settle(ADMIN, [], publish=drafts))
    assert settle == [f"publish[1].{field}"]


async def test_all_that_is_wrong_with_all_messages_is_told():
    drafts = [Draft(queue="q", body=b"", priority=10, ttl=-1), Draft(queue="q", body=b"", group="")]
    fields = await refused(lambda broker: broker.publish(ADMIN, drafts))
    assert fields == ["messages[0].priority", "messages[0].ttl", "messages[1].group"]


@pytest.mark.parametrize("count", [0, 1001])
async def test_no_batch_has_so_many_messages(count):
    drafts = [Draft(queue="q", body=b"")] * count
    assert await refused(lambda broker: broker.publish(ADMIN, drafts)) == ["messages"]


async def test_no_batch_is_so_large():
    drafts = [Draft(queue="q", body=bytes(limits.MAX_BATCH_BYTES // 2 + 1))] * 2
    limiter = Counts()
    async with House(limiter=limiter) as house:
        limiter.spent = 0
        with pytest.raises(MessageTooLarge, match="^16777218 bytes of bodies; a batch takes"):
            await house.broker.publish(ADMIN, drafts)
    assert limiter.spent == 0


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"wait": 21}, "wait"),
        ({"wait": math.nan}, "wait"),
        ({"lease_seconds": 0}, "lease_seconds"),
        ({"lease_seconds": 43_201}, "lease_seconds"),
    ],
)
async def test_no_lease_is_such(options, field):
    assert await refused(lambda broker: broker.lease(ADMIN, "q", **options)) == [field]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"kind": "ack", "delay": 1}, "delay"),
        ({"kind": "ack", "reason": "why"}, "reason"),
        ({"kind": "retry", "seconds": 1}, "seconds"),
        ({"kind": "retry", "delay": -1}, "delay"),
        ({"kind": "retry", "delay": 10.0**12}, "delay"),
        ({"kind": "extend", "seconds": 0.5}, "seconds"),
        ({"kind": "extend", "seconds": 43_201}, "seconds"),
        ({"kind": "extend", "seconds": math.nan}, "seconds"),
        ({"kind": "reject", "reason": ""}, "reason"),
        ({"kind": "reject", "reason": "x" * 1025}, "reason"),
        ({"kind": "retry", "reason": "a\nb"}, "reason"),
    ],
)
async def test_no_settlement_is_such(options, field):
    settlements = [
        Settlement(receipt=RECEIPT, kind="ack"),
        Settlement(receipt=RECEIPT, **options),
    ]
    fields = await refused(lambda broker: broker.settle(ADMIN, settlements))
    assert fields == [f"settlements[1].{field}"]


async def test_so_many_leases_are_not_settled_at_once():
    settlements = [Settlement(receipt=RECEIPT, kind="ack")] * 1001
    assert await refused(lambda broker: broker.settle(ADMIN, settlements)) == ["settlements"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"states": ()}, "states"),
        ({"states": ("processed",), "older_than": -1}, "older_than"),
        ({"states": ("processed",), "older_than": 10.0**12}, "older_than"),
        ({"states": ("pending", "failed"), "older_than": 1}, "older_than"),
    ],
)
async def test_no_purge_is_such(options, field):
    assert await refused(lambda broker: broker.queues.purge(ADMIN, "q", **options)) == [field]
