"""What clients of the earlier API ask for."""

import pytest
from graphs import ADMIN, graph

from broker import Draft
from broker_graphql.resolvers import plain

NOW = "2023-11-14T22:13:20.000Z"
MEBIBYTE = 1024 * 1024


async def test_queues_and_messages_have_the_fields_of_the_earlier_api(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("orders", "returns")
        [message_id] = await one.publish("orders", "hello")
        await one.broker.lease(ADMIN, "orders")
        data = await one.data(
            """query ($id: ID!) {
              allQueues { ...Queue }
              queueByName(name: "orders") {
                ...Queue
                messages { id queueName content status createdAt updatedAt }
              }
              messageById(id: $id) { id queueName content status createdAt updatedAt }
            }
            fragment Queue on PlainQueue { id name createdAt updatedAt messageCount }""",
            id=message_id,
        )
    orders = {"id": "1", "name": "orders", "createdAt": NOW, "updatedAt": NOW, "messageCount": 1}
    returns = {"id": "2", "name": "returns", "createdAt": NOW, "updatedAt": NOW, "messageCount": 0}
    message = {
        "id": str(message_id),
        "queueName": "orders",
        "content": "hello",
        "status": "processing",
        "createdAt": NOW,
        "updatedAt": NOW,
    }
    assert data == {
        "allQueues": [orders, returns],
        "queueByName": {**orders, "messages": [message]},
        "messageById": message,
    }


async def listed(one, arguments, name="orders"):
    query = f'{{ queueByName(name: "{name}") {{ messages{arguments} {{ id }} }} }}'
    result = await one.ask(query)
    return result.get("errors") or [
        int(message["id"]) for message in result["data"]["queueByName"]["messages"]
    ]


async def test_messages_are_listed_with_some_left_out_before(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("orders")
        ids = await one.publish("orders", *"abcdefgh")
        await one.broker.lease(ADMIN, "orders", limit=3)
        assert await listed(one, "") == ids
        assert await listed(one, "(limit: 3)") == ids[:3]
        assert await listed(one, "(limit: 3, offset: 2)") == ids[2:5]
        assert await listed(one, "(offset: 7)") == ids[7:]
        assert await listed(one, "(offset: 8)") == []
        assert await listed(one, "(offset: 10000, limit: 1000)") == []
        assert await listed(one, '(status: "processing")') == ids[:3]
        assert await listed(one, '(status: "pending", offset: 2, limit: 2)') == ids[5:7]
        assert await listed(one, '(status: "processed")') == []
        assert await listed(one, "(status: null)") == ids


async def test_many_are_left_out_a_page_at_a_time(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("orders")
        ids = []
        for _ in range(3):
            ids += await one.publish("orders", *["x"] * 900)
        assert await listed(one, "(offset: 2500, limit: 100)") == ids[2500:2600]
        assert await listed(one, "(offset: 2699)") == ids[2699:]


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ("(limit: 0)", ["limit"]),
        ("(limit: 1001)", ["limit"]),
        ("(offset: -1)", ["offset"]),
        ("(offset: 10001)", ["offset"]),
        ('(status: "PENDING")', ["status"]),
        ('(status: "", limit: -1, offset: -1)', ["status", "limit", "offset"]),
    ],
)
async def test_what_is_out_of_bounds_is_refused_by_name(tmp_path, arguments, fields):
    async with graph(tmp_path) as one:
        await one.make("orders")
        [error] = await listed(one, arguments)
    assert error["extensions"]["code"] == "invalid"
    assert [one["field"] for one in error["extensions"]["errors"]] == fields


async def fill(one, name, count, size=MEBIBYTE):
    await one.make(name)
    ids = []
    for _ in range(count):
        ids += [
            result.id
            for result in await one.broker.publish(ADMIN, [Draft(queue=name, body=bytes(size))])
        ]
    return ids


async def test_a_list_that_is_too_large_is_refused_and_not_cut(tmp_path):
    async with graph(tmp_path) as one:
        ids = await fill(one, "orders", 18)
        assert await listed(one, "(limit: 16)") == ids[:16]
        assert await listed(one, "(offset: 17)") == ids[17:]
        assert await listed(one, "(offset: 2, limit: 1000)") == ids[2:]
        [error] = await listed(one, "(limit: 17)")
    assert error["message"] == ("the contents are more than 16777216 bytes; ask for fewer messages")
    assert error["extensions"]["code"] == "too-large"


async def test_what_is_left_out_is_read_a_bounded_number_of_times(tmp_path, monkeypatch):
    monkeypatch.setattr(plain, "MAX_READS", 2)
    async with graph(tmp_path) as one:
        ids = await fill(one, "orders", 40)
        assert await listed(one, "(offset: 31)") == ids[31:]
        [error] = await listed(one, "(offset: 33)")
    assert error["message"] == ("the contents of what is left out are too large; go on by cursors")
    assert error["extensions"]["code"] == "too-large"


async def test_only_what_may_be_read_is_listed(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("a", "b", "c")
        [message_id] = await one.publish("b", "x")
        one.scopes = frozenset({"read:a", "publish:c"})
        result = await one.ask(
            '{ allQueues { name } b: queueByName(name: "b") { name } c: queueByName(name: "c") { name }'
            f" message: messageById(id: {message_id}) {{ id }} }}"
        )
    assert result["data"] == {"allQueues": [{"name": "a"}], "b": None, "c": None, "message": None}
    codes = {error["path"][0]: error["extensions"]["code"] for error in result["errors"]}
    assert codes == {"b": "queue-not-found", "c": "forbidden", "message": "message-not-found"}


async def test_as_many_queues_are_listed_as_there_may_be_of_what_is_asked_of_each(tmp_path):
    query = '{ allQueues { name messages(status: "pending") { id content status } } }'
    async with graph(tmp_path) as one:
        await one.make(*(f"q{number:02}" for number in range(33)))
        assert len((await one.data(query))["allQueues"]) == 33
        await one.make("one-more")
        [error] = (await one.ask(query))["errors"]
        one.scopes = frozenset({"read:q*"})
        assert len((await one.data(query))["allQueues"]) == 33
    assert error["path"] == ["allQueues"]
    assert error["extensions"] == {
        "code": "too-complex",
        "limit": "max_cost",
        "allowed": 10_000,
        "received": 1 + 34 * 302,
    }


async def test_what_is_left_out_of_many_queues_costs_something_too(tmp_path):
    query = "query ($offset: Int!) { allQueues { messages(limit: 1, offset: $offset) { id } } }"
    async with graph(tmp_path) as one:
        await one.make(*(f"q{number}" for number in range(10)))
        assert await one.codes(query, offset=9_000) == []
        assert await one.codes(query, offset=10_000) == ["too-complex"]
        assert await one.codes("{ allQueues { messages(limit: 1, offset: 10000) { id } } }") == [
            "too-complex"
        ]
