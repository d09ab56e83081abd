"""Mutations that settle leases."""

import pytest
from graphs import ADMIN, graph

LEASE = 'mutation { lease(queue: "q", limit: 10) { deliveries { receipt message { id } } } }'
SETTLE = """
    mutation ($settlements: [SettlementInput!]!, $publish: [AddressedMessageInput!]! = []) {
        settle(settlements: $settlements, publish: $publish) {
            results { messageId outcome state queueName reason }
            published { messageId duplicate }
        }
    }
"""
NACK = """
    mutation ($id: ID!, $receipt: String, $requeue: Boolean!, $delay: Float, $reason: String) {
        nack(id: $id, receipt: $receipt, requeue: $requeue, delay: $delay, reason: $reason) {
            outcome state reason visibleAt
        }
    }
"""


async def leased(one, *bodies):
    """Publish messages and lease them; return the receipts."""
    await one.make("q")
    await one.publish("q", *bodies)
    return [delivery["receipt"] for delivery in (await one.data(LEASE))["lease"]["deliveries"]]


def fields(result):
    [error] = result["errors"]
    assert error["extensions"]["code"] == "invalid"
    return [wrong["field"] for wrong in error["extensions"]["errors"]]


async def test_each_lease_is_settled_by_itself(tmp_path):
    async with graph(tmp_path) as one:
        receipts = await leased(one, *"abcde")
        kinds = ["ACK", "RETRY", "RELEASE", "REJECT", "EXTEND"]
        result = await one.data(
            SETTLE,
            settlements=[
                {"receipt": receipt, "kind": kind}
                for receipt, kind in zip(receipts, kinds, strict=True)
            ]
            + [{"receipt": receipts[3], "kind": "RETRY"}],
        )
    results = result["settle"]["results"]
    assert [one["state"] for one in results] == [
        "PROCESSED",
        "PENDING",
        "PENDING",
        "FAILED",
        "PROCESSING",
        None,
    ]
    assert [one["outcome"] for one in results] == ["OK"] * 5 + ["STALE"]
    assert [one["messageId"] for one in results] == ["1", "2", "3", "4", "5", "4"]
    assert result["settle"]["published"] == []


async def test_what_is_said_of_a_lease_is_kept(tmp_path):
    async with graph(tmp_path) as one:
        receipts = await leased(one, "a", "b")
        now = one.clock.now()
        await one.data(
            SETTLE,
            settlements=[
                {"receipt": receipts[0], "kind": "RETRY", "delay": 2.5, "reason": "busy"},
                {"receipt": receipts[1], "kind": "EXTEND", "seconds": 100},
            ],
        )
        first, second = [await one.broker.get_message(ADMIN, number) for number in (1, 2)]
    assert (first.visible_at, first.reason) == (now + 2500, "busy")
    assert second.visible_at == now + 100_000


async def test_with_messages_to_publish_it_is_all_or_nothing(tmp_path):
    publish = [{"queue": "q", "message": {"content": "next"}}]
    async with graph(tmp_path) as one:
        receipts = await leased(one, "a", "b")
        await one.data(SETTLE, settlements=[{"receipt": receipts[0], "kind": "ACK"}])
        both = [{"receipt": receipt, "kind": "REJECT"} for receipt in receipts]
        [refused] = (await one.ask(SETTLE, settlements=both, publish=publish))["errors"]
        counts = (await one.broker.queues.get(ADMIN, "q")).counts
        done = await one.data(SETTLE, settlements=both[1:], publish=publish)
    assert refused["message"] == "1 of 2 leases could not be settled"
    assert refused["extensions"] == {
        "code": "nothing-settled",
        "errors": [{"field": "settlements[0]", "message": "WRONG_STATE"}],
    }
    assert (counts.processing, counts.pending) == (1, 0)
    assert done["settle"]["published"] == [{"messageId": "3", "duplicate": False}]


@pytest.mark.parametrize(
    ("settlement", "wrong"),
    [
        ({"kind": "ACK", "receipt": "x"}, ["receipt"]),
        ({"kind": "ACK", "delay": 1}, ["delay"]),
        ({"kind": "RETRY", "seconds": 1, "delay": -1}, ["seconds", "delay"]),
        ({"kind": "EXTEND", "seconds": 0}, ["seconds"]),
        ({"kind": "REJECT", "reason": ""}, ["reason"]),
    ],
)
async def test_what_is_wrong_with_a_settlement_is_named(tmp_path, settlement, wrong):
    async with graph(tmp_path) as one:
        receipts = await leased(one, "a", "b")
        fine = {"receipt": receipts[0], "kind": "ACK"}
        settlements = [fine, {"receipt": receipts[1], **settlement}]
        result = await one.ask(SETTLE, settlements=settlements)
        assert (await one.broker.queues.get(ADMIN, "q")).counts.processing == 2
    assert fields(result) == [f"settlements[1].{field}" for field in wrong]


async def test_one_lease_is_ended_by_the_id_of_its_message(tmp_path):
    async with graph(tmp_path) as one:
        await leased(one, "a", "b")
        acked = await one.data('mutation { ack(id: "1") { messageId outcome state } }')
        failed = await one.data(NACK, id="2", requeue=False, reason="broken")
        again = await one.codes(NACK, id="2", requeue=False)
        nothing = await one.codes('mutation { ack(id: "3") { outcome } }')
    assert acked == {"ack": {"messageId": "1", "outcome": "OK", "state": "PROCESSED"}}
    assert failed == {
        "nack": {"outcome": "OK", "state": "FAILED", "reason": "broken", "visibleAt": None}
    }
    assert (again, nothing) == (["wrong-state"], ["message-not-found"])


async def test_a_receipt_says_which_lease_is_meant(tmp_path):
    ack = "mutation ($id: ID!, $receipt: String) { ack(id: $id, receipt: $receipt) { outcome } }"
    async with graph(tmp_path) as one:
        [stale] = await leased(one, "a")
        await one.data(NACK, id="1", receipt=stale, requeue=True, delay=0)
        [delivery] = (await one.data(LEASE))["lease"]["deliveries"]
        lost = await one.codes(ack, id="1", receipt=stale)
        other = await one.ask(ack, id="2", receipt=delivery["receipt"])
        nonsense = await one.ask(ack, id="1", receipt="nonsense")
        done = await one.data(ack, id="1", receipt=delivery["receipt"])
    assert lost == ["lease-lost"]
    assert other["errors"][0]["message"] == "receipt: is of message 1, not of 2"
    assert nonsense["errors"][0]["message"] == "receipt: is not a receipt of this broker"
    assert done == {"ack": {"outcome": "OK"}}


async def test_a_broker_can_demand_receipts(tmp_path):
    async with graph(tmp_path) as one:
        await leased(one, "a")
        one.broker.require_receipt = True
        result = await one.ask('mutation { ack(id: "1") { outcome } }')
    assert result["errors"][0]["message"] == "receipt: is required by this broker"


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1.5", "٣", "9223372036854775808", "1" * 99])
async def test_an_id_is_a_number(tmp_path, text):
    async with graph(tmp_path) as one:
        result = await one.ask("mutation ($id: ID!) { ack(id: $id) { outcome } }", id=text)
    assert fields(result) == ["id"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"requeue": False, "delay": 1}, "delay"),
        ({"requeue": True, "delay": -1}, "delay"),
        ({"requeue": True, "reason": "x" * 1025}, "reason"),
    ],
)
async def test_what_is_wrong_with_a_nack_is_named(tmp_path, options, field):
    async with graph(tmp_path) as one:
        await leased(one, "a")
        assert fields(await one.ask(NACK, id="1", **options)) == [field]


async def test_a_retry_has_the_delay_that_is_asked_for(tmp_path):
    async with graph(tmp_path) as one:
        await leased(one, "a")
        result = await one.data(NACK, id="1", requeue=True, delay=2.5, reason="later")
    assert result["nack"] == {
        "outcome": "OK",
        "state": "PENDING",
        "reason": None,
        "visibleAt": "2023-11-14T22:13:22.500Z",
    }
