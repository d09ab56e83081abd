"""A message's whole life over GraphQL alone, with a real server on a real disk."""

import httpx
import pytest
from served import HTTP_SERVERS, Served

MAKE = """
    mutation {
        dead: createQueue(name: "dead") { name }
        orders: createQueue(name: "orders", policy: {
            deadLetterQueue: "dead", maxDeliveries: 2, leaseSeconds: 600
        }) { version policy { deadLetterQueue maxDeliveries } }
    }
"""
LEASE = """
    mutation ($queue: String! = "orders", $limit: Int! = 10, $wait: Float! = 0) {
        lease(queue: $queue, limit: $limit, wait: $wait) {
            paused
            deliveries { receipt leaseExpiresAt message { id deliveryCount originQueue } }
        }
    }
"""
SETTLE = """
    mutation ($settlements: [SettlementInput!]!) {
        settle(settlements: $settlements) { results { outcome state visibleAt } }
    }
"""
NACK = """
    mutation ($id: ID!, $receipt: String!) {
        nack(id: $id, receipt: $receipt, requeue: true, delay: 0, reason: "try again") {
            state queueName
        }
    }
"""
COUNTS = """
    query ($name: String!) {
        queue(name: $name) { counts { pending processing processed failed } totals { redriven } }
    }
"""


@pytest.fixture(params=HTTP_SERVERS)
def served(request, tmp_path):
    served = Served(tmp_path, http_server=request.param, plugins=["graphql"])
    yield served
    served.end()


@pytest.fixture
def ask(served):
    with httpx.Client(base_url=served.url, timeout=30) as client:

        def ask(query, **variables):
            body = {"query": query, "variables": variables}
            result = client.post("/graphql", json=body).raise_for_status().json()
            assert "errors" not in result, result
            return result["data"]

        yield ask


def counts(ask, queue):
    found = ask(COUNTS, name=queue)["queue"]["counts"]
    return tuple(found.values())


def lease(ask, **options):
    return ask(LEASE, **options)["lease"]["deliveries"]


def settle(ask, delivery, kind, **options):
    settlement = {"receipt": delivery["receipt"], "kind": kind, **options}
    [result] = ask(SETTLE, settlements=[settlement])["settle"]["results"]
    assert result["outcome"] == "OK"
    return result


def test_a_message_lives_and_dies_over_graphql_alone(served, ask):
    made = ask(MAKE)
    assert made["orders"] == {
        "version": 1,
        "policy": {"deadLetterQueue": "dead", "maxDeliveries": 2},
    }
    published = ask(
        """
        mutation {
            one: publishMessage(queue: "orders", message: { content: "first" }) { messageId }
            more: publishMessages(queue: "orders", messages: [
                { content: "second", dedupKey: "2" }
                { contentBase64: "AP8=" }
                { content: "second again", dedupKey: "2" }
            ]) { messageId duplicate }
        }
        """
    )
    first, second, third = (
        published["one"]["messageId"],
        *(message["messageId"] for message in published["more"][:2]),
    )
    assert published["more"][2] == {"messageId": second, "duplicate": True}

    # Leased, prolonged, acknowledged; released; retried.
    one, two, three = lease(ask)
    assert [one["message"]["id"], two["message"]["id"], three["message"]["id"]] == [
        first,
        second,
        third,
    ]
    extended = settle(ask, one, "EXTEND", seconds=1200)
    assert extended["visibleAt"] > one["leaseExpiresAt"]
    acked = ask(
        "mutation ($id: ID!, $r: String!) { ack(id: $id, receipt: $r) { outcome state } }",
        id=first,
        r=one["receipt"],
    )
    assert acked["ack"] == {"outcome": "OK", "state": "PROCESSED"}
    assert settle(ask, two, "RELEASE")["state"] == "PENDING"
    retried = ask(NACK, id=third, receipt=three["receipt"])["nack"]
    assert retried == {"state": "PENDING", "queueName": "orders"}
    assert counts(ask, "orders") == (2, 0, 1, 0)

    # Delivered too often, it is a dead letter.
    two, three = lease(ask, wait=5)
    assert [two["message"]["deliveryCount"], three["message"]["deliveryCount"]] == [1, 2]
    died = ask(NACK, id=third, receipt=three["receipt"])["nack"]
    assert died == {"state": "PENDING", "queueName": "dead"}
    assert settle(ask, two, "REJECT", reason="no use")["state"] == "PENDING"
    assert (counts(ask, "orders"), counts(ask, "dead")) == ((0, 0, 1, 0), (2, 0, 0, 0))

    # Brought back, to a queue that is paused and goes on.
    ask('mutation { pause(queue: "orders") { paused } }')
    assert ask('mutation { redrive(queue: "dead") }') == {"redrive": 2}
    assert ask(LEASE)["lease"] == {"paused": True, "deliveries": []}
    ask('mutation { resume(queue: "orders") { paused } }')
    again = lease(ask)
    assert [delivery["message"] for delivery in again] == [
        {"id": number, "deliveryCount": 1, "originQueue": None} for number in (second, third)
    ]
    assert counts(ask, "orders") == (0, 2, 1, 0)

    # It is there after a restart, and gone with its queue.
    served.end()
    served.start()
    assert counts(ask, "orders") == (0, 2, 1, 0)
    assert settle(ask, again[0], "ACK")["state"] == "PROCESSED"
    ended = ask(
        """
        mutation {
            processed: purge(queue: "orders", states: [PROCESSED])
            leased: purge(queue: "orders", states: [PROCESSING])
            orders: deleteQueue(name: "orders")
            dead: deleteQueue(name: "dead")
        }
        """
    )
    assert ended == {"processed": 2, "leased": 1, "orders": True, "dead": True}
