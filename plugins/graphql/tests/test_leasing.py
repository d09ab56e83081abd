"""The mutation that leases, and who keeps what it brought."""

import asyncio
import json

import pytest
from graphs import ADMIN, graph

from broker import InvalidToken
from broker_graphql import assembly

LEASE = """
    mutation ($wait: Float! = 0, $limit: Int! = 1, $leaseSeconds: Int) {
        lease(queue: "q", wait: $wait, limit: $limit, leaseSeconds: $leaseSeconds) {
            paused deliveries { receipt leaseExpiresAt message { id deliveryCount leasedBy } }
        }
    }
"""
TWO = """
    mutation {
        first: lease(queue: "q", wait: %s) { deliveries { message { id } } }
        second: lease(queue: "other", wait: %s) { deliveries { message { id } } }
    }
"""


async def turns(count=50):
    for _ in range(count):
        await asyncio.sleep(0)


async def processing(one):
    return (await one.broker.queues.get(ADMIN, "q")).counts.processing


def ids(lease):
    return [delivery["message"]["id"] for delivery in lease["deliveries"]]


async def test_messages_are_leased_with_receipts(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q")
        await one.publish("q", "1", "2", "3")
        leased = (await one.data(LEASE, limit=2, leaseSeconds=60))["lease"]
        last = (await one.data(LEASE))["lease"]
        none = (await one.data(LEASE))["lease"]
    assert [delivery["message"] for delivery in leased["deliveries"]] == [
        {"id": "1", "deliveryCount": 1, "leasedBy": "somebody"},
        {"id": "2", "deliveryCount": 1, "leasedBy": "somebody"},
    ]
    assert leased["deliveries"][0]["leaseExpiresAt"] == "2023-11-14T22:14:20.000Z"
    assert last["deliveries"][0]["leaseExpiresAt"] == "2023-11-14T22:13:50.000Z"
    assert none == {"paused": False, "deliveries": []}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"wait": 20.5}, "wait"),
        ({"wait": -1}, "wait"),
        ({"leaseSeconds": 0}, "leaseSeconds"),
        ({"leaseSeconds": 43_201}, "leaseSeconds"),
    ],
)
async def test_what_is_wrong_with_a_lease_is_named(tmp_path, options, field):
    async with graph(tmp_path) as one:
        await one.make("q")
        [error] = (await one.ask(LEASE, **options))["errors"]
    assert error["extensions"]["code"] == "invalid"
    assert [wrong["field"] for wrong in error["extensions"]["errors"]] == [field]


async def test_who_finds_nothing_waits_for_a_message(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q")
        waiting = asyncio.ensure_future(one.data(LEASE, wait=20))
        await turns()
        assert not waiting.done()
        await one.publish("q", "1")
        assert ids((await waiting)["lease"]) == ["1"]


async def test_the_leases_of_an_operation_wait_together_as_long_as_one(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q", "other")
        waiting = asyncio.ensure_future(one.data(TWO % (15, 15)))
        await turns()
        one.clock.advance(15)
        await turns()
        assert not waiting.done()
        one.clock.advance(5)
        result = await waiting
    assert (ids(result["first"]), ids(result["second"])) == ([], [])


async def test_what_is_leased_already_does_not_wait_for_more(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q", "other")
        await one.publish("q", "1")
        result = await one.data(TWO % (15, 15))
    assert (ids(result["first"]), ids(result["second"])) == (["1"], [])


async def test_who_loses_the_right_while_waiting_gets_nothing(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q")
        waiting = asyncio.ensure_future(one.codes(LEASE, wait=20))
        await turns()
        one.scopes = frozenset({"read:q"})
        await one.publish("q", "1")
        assert await waiting == ["forbidden"]
        assert await processing(one) == 0


async def test_who_is_not_known_any_more_does_nothing_after_a_wait(tmp_path):
    async def identify(credentials, *, peer):
        raise InvalidToken

    query = """
        mutation {
            lease(queue: "q", wait: 20) { paused }
            publishMessage(queue: "q", message: { content: "x" }) { messageId }
        }
    """
    async with graph(tmp_path) as one:
        await one.make("q")
        waiting = asyncio.ensure_future(one.codes(query))
        await turns()
        one.broker.identify = identify
        one.clock.advance(20)
        assert await waiting == ["invalid-token", "invalid-token"]
        assert (await one.broker.queues.get(ADMIN, "q")).counts.total == 0


async def test_what_a_client_does_not_get_is_given_back(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q")
        await one.publish("q", "1", "2")
        response = await one.post({"query": LEASE, "variables": {"limit": 2}})
        assert len(json.loads(response.body)["data"]["lease"]["deliveries"]) == 2
        assert await processing(one) == 2
        await response.undelivered()
        assert await processing(one) == 0
        [again] = (await one.data(LEASE))["lease"]["deliveries"]
    assert again["message"] == {"id": "1", "deliveryCount": 1, "leasedBy": "somebody"}


async def test_what_cannot_be_told_is_given_back(tmp_path, monkeypatch):
    def broken(_, message):
        raise RuntimeError("no type")

    monkeypatch.setitem(assembly.RESOLVERS, "Message.contentType", broken)
    async with graph(tmp_path) as one:
        await one.make("q", "other")
        await one.publish("q", "1")
        await one.publish("other", "2")
        result = await one.ask(
            """
            mutation {
                told: lease(queue: "other") { deliveries { message { id } } }
                lost: lease(queue: "q") { deliveries { message { contentType } } }
            }
            """
        )
        assert await processing(one) == 0
        assert (await one.broker.queues.get(ADMIN, "other")).counts.processing == 1
    assert (ids(result["data"]["told"]), result["data"]["lost"]) == (["2"], None)
    assert [error["extensions"]["code"] for error in result["errors"]] == ["internal"]


async def test_who_lost_every_right_while_waiting_does_nothing_afterwards(tmp_path):
    query = """
        mutation {
            lease(queue: "q", wait: 20) { paused }
            publishMessage(queue: "q", message: { content: "x" }) { messageId }
            deleteQueue(name: "q")
        }
    """
    async with graph(tmp_path) as one:
        await one.make("q")
        waiting = asyncio.ensure_future(one.ask(query))
        await turns()
        one.scopes = frozenset({"consume:q", "publish:q"})
        one.clock.advance(20)
        result = await waiting
    assert result["data"] == {
        "lease": {"paused": False},
        "publishMessage": {"messageId": "1"},
        "deleteQueue": None,
    }
    assert result["errors"][0]["message"] == 'this needs the scope "manage:q"'


async def test_what_leased_nothing_gives_nothing_back(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q")
        assert (await one.post({"query": LEASE})).undelivered is None


async def test_who_goes_while_a_later_field_works_leaves_no_lease(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q", "other")
        await one.publish("q", "1")
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def publish(*_):
            begun.set()
            await go_on.wait()

        one.broker.publish = publish
        query = """
            mutation {
                lease(queue: "q") { paused }
                publishMessage(queue: "other", message: { content: "x" }) { messageId }
            }
        """
        asking = asyncio.ensure_future(one.ask(query))
        await begun.wait()
        assert await processing(one) == 1

        asking.cancel()
        await asyncio.wait([asking])

        assert asking.cancelled()
        assert await processing(one) == 0


async def test_who_goes_while_waiting_leaves_no_lease(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q")
        asking = asyncio.ensure_future(one.ask(LEASE, wait=20))
        await turns()
        asking.cancel()
        await asyncio.wait([asking])
        await one.publish("q", "1")
        await turns()
        assert await processing(one) == 0
