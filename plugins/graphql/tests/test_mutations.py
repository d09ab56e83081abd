"""Mutations together: one after the other, each by itself."""

from graphs import graph

from broker_graphql.resolvers.mutations import MUTATIONS
from broker_graphql.schema import make_schema


def test_every_mutation_of_the_schema_is_there():
    mutation = make_schema().mutation_type
    assert set(MUTATIONS) == {f"Mutation.{name}" for name in mutation.fields}


async def test_the_fields_of_a_mutation_are_done_in_order(tmp_path):
    query = """
        mutation {
            createQueue(name: "q") { messageCount }
            publishMessage(queue: "q", message: { content: "x" }) { messageId }
            pause(queue: "q") { messageCount }
            nothing: lease(queue: "q") { paused deliveries { receipt } }
            resume(queue: "q") { version }
            something: lease(queue: "q") { paused deliveries { message { id } } }
            ack(id: "1") { state }
            purge(queue: "q", states: [PROCESSED])
            deleteQueue(name: "q")
        }
    """
    async with graph(tmp_path) as one:
        data = await one.data(query)
    assert data == {
        "createQueue": {"messageCount": 0},
        "publishMessage": {"messageId": "1"},
        "pause": {"messageCount": 1},
        "nothing": {"paused": True, "deliveries": []},
        "resume": {"version": 3},
        "something": {"paused": False, "deliveries": [{"message": {"id": "1"}}]},
        "ack": {"state": "PROCESSED"},
        "purge": 1,
        "deleteQueue": True,
    }


async def test_what_fails_does_not_hold_up_what_follows(tmp_path):
    query = """
        mutation {
            first: deleteQueue(name: "nowhere")
            createQueue(name: "q") { name }
            second: createQueue(name: "q") { name }
            deleteQueue(name: "q")
        }
    """
    async with graph(tmp_path) as one:
        result = await one.ask(query)
    assert result["data"] == {
        "first": None,
        "createQueue": {"name": "q"},
        "second": None,
        "deleteQueue": True,
    }
    assert [(error["path"], error["extensions"]["code"]) for error in result["errors"]] == [
        (["first"], "queue-not-found"),
        (["second"], "queue-exists"),
    ]
