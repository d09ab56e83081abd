"""Mutations of queues."""

import pytest
from graphs import graph

CREATE = """
    mutation ($name: String!, $policy: QueuePolicyInput) {
        createQueue(name: $name, policy: $policy) {
            name version policy { leaseSeconds maxDeliveries defaultTtl overflow }
        }
    }
"""
UPDATE = """
    mutation ($policy: QueuePolicyInput!, $version: Long) {
        updateQueue(name: "q", policy: $policy, version: $version) {
            version policy { leaseSeconds maxDeliveries defaultTtl overflow }
        }
    }
"""
DEFAULTS = {"leaseSeconds": 30, "maxDeliveries": 10, "defaultTtl": None, "overflow": "REJECT"}


async def test_a_queue_is_made_with_what_is_not_the_default(tmp_path):
    policy = {"leaseSeconds": 7, "maxDeliveries": None, "overflow": "DROP_OLDEST"}
    async with graph(tmp_path) as one:
        plain = await one.data(CREATE, name="plain")
        other = await one.data(CREATE, name="other", policy=policy)
    assert plain["createQueue"] == {"name": "plain", "version": 1, "policy": DEFAULTS}
    assert other["createQueue"] == {
        "name": "other",
        "version": 1,
        "policy": {**DEFAULTS, **policy},
    }


async def test_a_queue_is_made_once(tmp_path):
    async with graph(tmp_path) as one:
        await one.data(CREATE, name="q")
        assert await one.codes(CREATE, name="q") == ["queue-exists"]


async def test_what_is_not_given_stays_and_null_is_a_value(tmp_path):
    async with graph(tmp_path) as one:
        await one.data(CREATE, name="q", policy={"leaseSeconds": 7, "defaultTtl": 60})

        first = await one.data(UPDATE, policy={"maxDeliveries": None})
        second = await one.data(UPDATE, policy={"defaultTtl": None})
        # A variable without a value is as if its field were not there.
        third = await one.data(
            """
            mutation ($ttl: Float, $most: Int) {
                updateQueue(name: "q", policy: { defaultTtl: $ttl, maxDeliveries: $most }) {
                    version policy { leaseSeconds maxDeliveries defaultTtl overflow }
                }
            }
            """,
            ttl=5,
        )

    policy = {**DEFAULTS, "leaseSeconds": 7, "maxDeliveries": None}
    assert first["updateQueue"] == {"version": 2, "policy": {**policy, "defaultTtl": 60.0}}
    assert second["updateQueue"] == {"version": 3, "policy": policy}
    assert third["updateQueue"] == {"version": 4, "policy": {**policy, "defaultTtl": 5.0}}


async def test_a_version_is_a_condition(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q")
        assert await one.codes(UPDATE, policy={}, version=2) == ["version-mismatch"]
        assert await one.codes(UPDATE, policy={}, version=1) == []
        drop = 'mutation ($version: Long) { deleteQueue(name: "q", version: $version) }'
        assert await one.codes(drop, version=1) == ["version-mismatch"]
        assert await one.data(drop, version=2) == {"deleteQueue": True}
        assert await one.codes(drop) == ["queue-not-found"]


async def test_each_wrong_field_is_named_as_the_client_knows_it(tmp_path):
    policy = {"leaseSeconds": 0, "maxDeliveries": 5000, "deadLetterQueue": "a b"}
    async with graph(tmp_path) as one:
        await one.make("q")
        [made] = (await one.ask(CREATE, name="-", policy=policy))["errors"]
        [changed] = (await one.ask(UPDATE, policy={"leaseSeconds": None}))["errors"]
        [nowhere] = (await one.ask(UPDATE, policy={"deadLetterQueue": "nowhere"}))["errors"]
    assert made["extensions"]["code"] == "invalid"
    assert [error["field"] for error in made["extensions"]["errors"]] == [
        "name",
        "policy.leaseSeconds",
        "policy.maxDeliveries",
        "policy.deadLetterQueue",
    ]
    assert changed["message"] == "policy.leaseSeconds: expected int, got null"
    assert nowhere["message"] == "policy.deadLetterQueue: there is no such queue; create it first"


async def test_a_queue_is_emptied_by_states(tmp_path):
    purge = """
        mutation ($states: [MessageState!]!, $olderThan: Float) {
            purge(queue: "q", states: $states, olderThan: $olderThan)
        }
    """
    async with graph(tmp_path) as one:
        await one.make("q")
        await one.publish("q", "1", "2", "3")
        await one.data('mutation { lease(queue: "q") { paused } ack(id: "1") { outcome } }')
        one.clock.advance(60)
        assert await one.data(purge, states=["PROCESSED"], olderThan=61) == {"purge": 0}
        assert await one.data(purge, states=["PROCESSED"], olderThan=59) == {"purge": 1}
        assert await one.data('mutation { purge(queue: "q") }') == {"purge": 2}
        [empty] = (await one.ask(purge, states=[]))["errors"]
        [early] = (await one.ask(purge, states=["PENDING"], olderThan=1))["errors"]
    assert empty["message"] == "states: expected at least 1, got 0"
    assert [error["field"] for error in early["extensions"]["errors"]] == ["olderThan"]


async def test_failed_messages_are_brought_back(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q")
        await one.publish("q", "1", "2")
        await one.data(
            """
            mutation {
                lease(queue: "q", limit: 2) { paused }
                a: nack(id: "1") { state }
                b: nack(id: "2") { state }
            }
            """
        )
        assert await one.data('mutation { redrive(queue: "q") }') == {"redrive": 2}


@pytest.mark.parametrize("times", [1, 2])
async def test_a_queue_is_paused_and_goes_on(tmp_path, times):
    lease = 'lease(queue: "q") { paused deliveries { message { id } } }'
    async with graph(tmp_path) as one:
        await one.make("q")
        await one.publish("q", "1")
        for _ in range(times):
            paused = await one.data('mutation { pause(queue: "q") { name paused } }')
        nothing = await one.data(f"mutation {{ {lease} }}")
        for _ in range(times):
            resumed = await one.data('mutation { resume(queue: "q") { name paused } }')
        something = await one.data(f"mutation {{ {lease} }}")
    assert paused == {"pause": {"name": "q", "paused": True}}
    assert nothing == {"lease": {"paused": True, "deliveries": []}}
    assert resumed == {"resume": {"name": "q", "paused": False}}
    assert something == {"lease": {"paused": False, "deliveries": [{"message": {"id": "1"}}]}}
