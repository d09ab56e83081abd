"""What can be looked at, and under which rules: those of REST."""

import pytest
from graphs import ADMIN, graph

from broker import Allowance, Draft, Identity, QueuePolicy, QueueSpec, RateLimiter

NOW = "2023-11-14T22:13:20.000Z"
POLICY = """
leaseSeconds maxDeliveries retryBase retryMax jitter deadLetterQueue dedupWindow defaultDelay defaultTtl
maxMessages maxBytes overflow maxInFlight maxMessageBytes retainProcessed retainFailed ordering paused
"""
QUEUE = f"""
id name version createdAt updatedAt paused messageCount bytes oldestAt policy {{ {POLICY} }}
counts {{ pending scheduled processing processed failed }}
totals {{
  published delivered acked retried released failed deadLettered redriven lapsed expired deleted
  dropped retired
}}
"""
MESSAGE = """
id queueName state content contentBase64 contentType headers { name value } priority group dedupKey
createdAt updatedAt visibleAt expiresAt deliveryCount firstDeliveredAt finishedAt reason originQueue
leasedBy
"""


async def test_every_field_of_a_queue_is_told(tmp_path):
    async with graph(tmp_path) as one:
        policy = QueuePolicy(lease_seconds=5, overflow="drop_oldest", max_messages=9, paused=True)
        await one.broker.queues.create(ADMIN, QueueSpec("orders", policy))
        await one.publish("orders", "a", "bc")
        data = await one.data(f'{{ queue(name: "orders") {{ {QUEUE} }} }}')
    totals = dict.fromkeys(
        ("delivered", "acked", "retried", "released", "failed", "deadLettered", "redriven")
        + ("lapsed", "expired", "deleted", "dropped", "retired"),
        0,
    )
    assert data["queue"] == {
        "id": "1",
        "name": "orders",
        "version": 1,
        "createdAt": NOW,
        "updatedAt": NOW,
        "paused": True,
        "messageCount": 2,
        "bytes": 3,
        "oldestAt": NOW,
        "policy": {
            "leaseSeconds": 5,
            "maxDeliveries": 10,
            "retryBase": 0.0,
            "retryMax": 600.0,
            "jitter": 0.2,
            "deadLetterQueue": None,
            "dedupWindow": 300,
            "defaultDelay": 0.0,
            "defaultTtl": None,
            "maxMessages": 9,
            "maxBytes": None,
            "overflow": "DROP_OLDEST",
            "maxInFlight": None,
            "maxMessageBytes": 1048576,
            "retainProcessed": 86400,
            "retainFailed": 1209600,
            "ordering": "PRIORITY",
            "paused": True,
        },
        "counts": {"pending": 2, "scheduled": 0, "processing": 0, "processed": 0, "failed": 0},
        "totals": {"published": 2, **totals},
    }


async def test_every_field_of_a_message_is_told(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("orders")
        draft = Draft(
            queue="orders",
            body="grün".encode(),
            content_type="text/plain",
            headers={"b": "2", "a": "1"},
            priority=9,
            ttl=60,
            group="g",
            dedup_key="k",
        )
        [published] = await one.broker.publish(ADMIN, [draft])
        await one.broker.lease(Identity(subject="ana", scopes=ADMIN.scopes), "orders")
        data = await one.data(f'{{ message(id: "{published.id}") {{ {MESSAGE} }} }}')
    assert data["message"] == {
        "id": str(published.id),
        "queueName": "orders",
        "state": "PROCESSING",
        "content": "grün",
        "contentBase64": "Z3LDvG4=",
        "contentType": "text/plain",
        "headers": [{"name": "b", "value": "2"}, {"name": "a", "value": "1"}],
        "priority": 9,
        "group": "g",
        "dedupKey": "k",
        "createdAt": NOW,
        "updatedAt": NOW,
        "visibleAt": "2023-11-14T22:13:50.000Z",
        "expiresAt": "2023-11-14T22:14:20.000Z",
        "deliveryCount": 1,
        "firstDeliveredAt": NOW,
        "finishedAt": None,
        "reason": None,
        "originQueue": None,
        "leasedBy": "ana",
    }


async def test_messages_are_chosen_by_state_and_by_text(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("orders")
        ids = [str(key) for key in await one.publish("orders", "red", "green", "blue green")]
        await one.broker.lease(ADMIN, "orders")
        data = await one.data(
            """{ queue(name: "orders") {
              leased: messages(state: PROCESSING) { nodes { id state } }
              none: messages(state: [FAILED, SCHEDULED]) { nodes { id } }
              green: messages(search: "green", state: null) { nodes { id content } }
            } }"""
        )
    assert data["queue"] == {
        "leased": {"nodes": [{"id": ids[0], "state": "PROCESSING"}]},
        "none": {"nodes": []},
        "green": {
            "nodes": [{"id": ids[1], "content": "green"}, {"id": ids[2], "content": "blue green"}]
        },
    }


async def test_who_asks_is_told(tmp_path):
    async with graph(tmp_path) as one:
        one.scopes = frozenset({"read:b", "consume:a"})
        data = await one.data("{ me { subject scopes expiresAt isAnonymous } }")
    assert data["me"] == {
        "subject": "somebody",
        "scopes": ["consume:a", "read:b"],
        "expiresAt": None,
        "isAnonymous": False,
    }


REFUSED = [
    ('queue(name: "gone") { name }', "queue-not-found", None),
    ('queue(name: "hidden") { name }', "queue-not-found", None),
    ('queue(name: "seen") { name }', "forbidden", None),
    ('queue(name: "a b") { name }', "invalid", "name"),
    ('queue(name: "orders") { messages(first: 0) { nodes { id } } }', "invalid", "first"),
    ('queue(name: "orders") { messages(first: 1001) { nodes { id } } }', "invalid", "first"),
    ('queue(name: "orders") { messages(after: "7") { nodes { id } } }', "invalid", "after"),
    ('queue(name: "orders") { messages(search: "") { nodes { id } } }', "invalid", "search"),
    (r'queue(name: "orders") { messages(search: "\n") { nodes { id } } }', "invalid", "search"),
    ("queues(first: -1) { nodes { name } }", "invalid", "first"),
    ('queues(after: "orders") { nodes { name } }', "invalid", "after"),
    ('queues(prefix: "a b") { nodes { name } }', "invalid", "prefix"),
    ('message(id: "abc") { id }', "invalid", "id"),
    ('message(id: "") { id }', "invalid", "id"),
    ("message(id: 0) { id }", "invalid", "id"),
    ("message(id: -1) { id }", "invalid", "id"),
    ('message(id: "9223372036854775808") { id }', "invalid", "id"),
    ('message(id: "٣") { id }', "invalid", "id"),
    ('message(id: "9223372036854775807") { id }', "message-not-found", None),
    ("message(id: 2) { id }", "message-not-found", None),
    ("message(id: 3) { id }", "forbidden", None),
]


@pytest.mark.parametrize(("field", "code", "named"), REFUSED, ids=[row[0] for row in REFUSED])
async def test_what_is_refused_has_the_code_of_rest_and_names_the_argument(
    tmp_path, field, code, named
):
    async with graph(tmp_path) as one:
        await one.make("orders", "hidden", "seen")
        # The ids 1, 2 and 3.
        for name in ("orders", "hidden", "seen"):
            await one.publish(name, "x")
        one.scopes = frozenset({"read:orders", "publish:seen"})
        result = await one.ask(f"{{ {field} }}")
    [error] = result["errors"]
    assert error["extensions"]["code"] == code
    assert [one["field"] for one in error["extensions"].get("errors", ())] == [named] * bool(named)


async def test_a_message_that_may_be_read_is_read(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("orders")
        [message_id] = await one.publish("orders", "x")
        one.scopes = frozenset({"read:orders"})
        # An ID is a number to some clients, and text to others.
        data = await one.data(
            f'{{ a: message(id: {message_id}) {{ content }} b: message(id: "{message_id}") {{ content }} }}'
        )
    assert data == {"a": {"content": "x"}, "b": {"content": "x"}}


async def test_a_search_that_the_storage_cannot_do_is_refused_by_its_name(tmp_path, monkeypatch):
    async with graph(tmp_path) as one:
        await one.make("orders")
        monkeypatch.setattr(type(one.storage), "capabilities", frozenset())
        result = await one.ask(
            '{ queue(name: "orders") { messages(search: "x") { nodes { id } } } }'
        )
    [error] = result["errors"]
    assert error["extensions"]["code"] == "unsupported"
    assert error["extensions"]["errors"] == [
        {
            "field": "search",
            "message": 'storage "memory" does not declare the capability "search"',
        }
    ]


class Reads(RateLimiter):
    """Allows so many reads of each queue, None for all of them, and notes what is paid."""

    def __init__(self, **allowed):
        self.allowed = allowed
        self.paid = []

    async def spend(self, spendings):
        costs = {one.queue: one.cost for one in spendings}
        if any(self.allowed.get(queue, cost) < cost for queue, cost in costs.items()):
            return Allowance(allowed=False, retry_after=3.0, refused_by="reads")
        for queue, cost in costs.items():
            self.allowed[queue] = self.allowed.get(queue, 100) - cost
        self.paid += [(one.activity, one.queue, one.cost) for one in spendings]
        return Allowance(allowed=True)


async def test_each_field_pays_what_its_route_pays(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("a", "b")
        [message_id] = await one.publish("a", "x")
        one.broker._gate._limiter = ("limits", limiter := Reads())
        for query, paid in (
            ('{ queue(name: "a") { name policy { jitter } messageCount } }', [("read", "a", 1)]),
            (
                "{ queues { nodes { messages { nodes { id } } } } }",
                [("read", None, 1), ("read", "a", 1), ("read", "b", 1)],
            ),
            (
                '{ queue(name: "a") { x: messages { nodes { id } } y: messages { nodes { id } } } }',
                [("read", "a", 1), ("read", "a", 2)],
            ),
            (f"{{ message(id: {message_id}) {{ content }} }}", [("read", None, 1)]),
            ("{ stats { queuesTotal } }", [("read", None, 1)]),
            ("{ me { subject } }", []),
            (
                '{ queue(name: "-") { name } message(id: "x") { id } queues(first: 0) { nodes { id } } }',
                [],
            ),
        ):
            limiter.paid.clear()
            await one.ask(query)
            assert limiter.paid == paid, query


async def test_so_much_is_told_as_there_is_an_allowance_for(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("a", "b")
        await one.publish("a", "x")
        one.broker._gate._limiter = ("limits", Reads(b=0))
        result = await one.ask("{ queues { nodes { name messages { nodes { content } } } } }")
    assert result["data"]["queues"]["nodes"] == [
        {"name": "a", "messages": {"nodes": [{"content": "x"}]}},
        {"name": "b", "messages": None},
    ]
    [error] = result["errors"]
    assert (error["path"], error["extensions"]) == (
        ["queues", "nodes", 1, "messages"],
        {"code": "rate-limited", "retry_after": 3.0},
    )
