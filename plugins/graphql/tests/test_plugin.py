"""The plugin as a whole: a document goes in, a result comes out."""

from graphs import graph

from broker.testing import assert_config_used


async def test_a_query_is_answered(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("orders")
        query = "query ($name: String!) { queue(name: $name) { name policy { overflow } } }"
        data = await one.data(query, name="orders")
    assert data == {"queue": {"name": "orders", "policy": {"overflow": "REJECT"}}}


async def test_an_error_of_the_broker_has_the_code_that_rest_gives_it(tmp_path):
    async with graph(tmp_path) as one:
        result = await one.ask('{ queue(name: "orders") { name } me { subject } }')
    assert result == {
        "data": {"queue": None, "me": {"subject": "somebody"}},
        "errors": [
            {
                "message": 'there is no queue "orders"',
                "locations": [{"line": 1, "column": 3}],
                "path": ["queue"],
                "extensions": {"code": "queue-not-found"},
            }
        ],
    }


async def test_two_brokers_of_one_process_each_have_their_own(tmp_path):
    async with graph(tmp_path / "a") as one, graph(tmp_path / "b") as other:
        await one.make("orders")
        query = '{ queue(name: "orders") { name } }'
        assert await one.data(query) == {"queue": {"name": "orders"}}
        assert await other.codes(query) == ["queue-not-found"]


async def test_every_option_is_used(broker_factory):
    async def ask(client):
        query = "{ __schema { queryType { name } } }"
        answer = await client.post("/graphql", json={"query": query})
        assert answer.json() == {"data": {"__schema": {"queryType": {"name": "Query"}}}}

    await assert_config_used(broker_factory, "graphql", exercise=ask)
