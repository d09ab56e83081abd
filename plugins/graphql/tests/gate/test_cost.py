"""What operations cost: each field as often as its answer can have it."""

from pathlib import Path

import pytest
from graphql import get_introspection_query

from broker_graphql.config import GraphqlConfig
from broker_graphql.gate.cost import Costs
from broker_graphql.gate.documents import Documents
from broker_graphql.gate.refusal import Refused
from broker_graphql.schema import make_schema

SCHEMA = make_schema()
DOCUMENTS = Documents(SCHEMA, GraphqlConfig(), Path(), hide_suggestions=False)
MESSAGE = (
    "id queueName state content contentBase64 contentType headers { name value } priority group "
    "dedupKey createdAt updatedAt visibleAt expiresAt deliveryCount firstDeliveredAt finishedAt "
    "reason originQueue leasedBy"
)


def cost(query, operation=None, **variables):
    """Return what an operation costs: the least `max_cost` that allows it."""
    document = DOCUMENTS.read(query)
    costs = Costs(SCHEMA, GraphqlConfig(max_cost=1))
    try:
        costs.price(document, document.operation(operation), variables).check()
    except Refused as refusal:
        return refusal.errors[0]["extensions"]["received"]
    return 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # a field, and what is selected of its object
        ("{ me { subject } }", 2),
        # a list that an argument bounds; of a connection, its nodes and its edges
        ("{ queues(first: 7) { nodes { name } } }", 2 + 7),
        ("{ queues(first: 7) { edges { cursor node { name } } } }", 2 + 7 * 3),
        ("{ queues(first: 7) { pageInfo { hasNextPage } } }", 3),
        # by the default of the schema
        ("{ queues { nodes { name } } }", 2 + 20),
        ('{ queueByName(name: "a") { messages { id } } }', 2 + 100),
        # without an argument
        ("{ allQueues { name } }", 1 + 1),
        ("{ a: allQueues { name } ...f } fragment f on Query { allQueues { id } }", 2 + 1 + 1),
        ("{ message(id: 1) { headers { name } } }", 2 + 64),
        ("{ stats { plugins { name } } }", 2 + 10),
        # lists in lists
        ("{ queues(first: 3) { nodes { messages(first: 5) { nodes { id } } } } }", 2 + 3 * (2 + 5)),
        # nothing, and less than nothing
        ("{ queues(first: 0) { nodes { name } } }", 2),
        ("{ queues(first: -7) { nodes { name } } }", 2),
        ('{ queueByName(name: "a") { messages(limit: 0, offset: -10000) { id } } }', 2),
        # as many results as there are things to do
        (
            'mutation { publishMessages(queue: "a", messages: [{}, {}, {}]) { messageId } }',
            1 + 3,
        ),
        ('mutation { publishMessages(queue: "a", messages: {}) { messageId } }', 1 + 1),
        (
            'mutation { settle(settlements: [{receipt: "a", kind: ACK}], publish: [{queue: "a", '
            'message: {}}, {queue: "a", message: {}}]) { results { outcome } published { messageId } } }',
            3 + 2 + 2,
        ),
        # a list of values is one field
        ("{ me { scopes } }", 2),
        # fragments, as often as they stand there
        ("{ me { ...f ...f ... { subject } } } fragment f on Me { subject scopes }", 1 + 2 + 2 + 1),
    ],
)
def test_every_field_counts_as_often_as_there_are_objects_above(query, expected):
    assert cost(query) == expected


@pytest.mark.parametrize(
    ("definition", "variables", "length"),
    [
        ("$n: Int!", {"n": 7}, 7),
        ("$n: Int! = 5", {}, 5),
        ("$n: Int! = 5", {"n": 7}, 7),
        ("$n: Int = 5", {"n": None}, 20),
        ("$n: Int! = 5", {"n": -7}, 0),
        ("$n: Int!", {"n": 7.0}, 7),
        # what is refused with the variables, right after
        ("$n: Int!", {"n": 2**31}, 0),
        ("$n: Int!", {"n": 1e300}, 0),
        ("$n: Int!", {"n": "7"}, 20),
        ("$n: Int!", {"n": [7]}, 20),
    ],
)
def test_a_length_can_be_a_variable(definition, variables, length):
    query = f"query({definition}) {{ queues(first: $n) {{ nodes {{ name }} }} }}"
    assert cost(query, **variables) == 2 + length


def test_as_many_messages_as_a_variable_holds_have_as_many_results():
    query = (
        "mutation($m: [MessageInput!]! = [{}, {}])"
        '{ publishMessages(queue: "a", messages: $m) { messageId } }'
    )
    assert cost(query) == 1 + 2
    assert cost(query, m=[{}] * 7) == 1 + 7
    assert cost(query, m={}) == 1 + 1


def test_only_the_operation_that_is_asked_for_counts():
    query = "query a { me { subject } } query b { queues { nodes { name } } }"
    assert cost(query, "a") == 2


def test_fragments_in_fragments_are_counted_and_not_written_out():
    nested = "".join(f"fragment f{n} on Me {{ ...f{n + 1} ...f{n + 1} }}" for n in range(19))
    assert cost("{ me { ...f0 } }" + nested + "fragment f19 on Me { subject }") == 1 + 2**19


@pytest.mark.parametrize(
    "query",
    [
        get_introspection_query(),
        get_introspection_query(
            specified_by_url=True,
            directive_is_repeatable=True,
            schema_description=True,
            input_value_deprecation=True,
        ),
        "{ queues(first: 100) { nodes { messageCount messages(first: 5) { nodes { id content state "
        "createdAt updatedAt priority deliveryCount } pageInfo { endCursor } } } } }",
        '{ queue(name: "a") { messages(first: 50) { nodes { %s } } } }' % MESSAGE,
        "{ allQueues { id name createdAt updatedAt messageCount messages { id content status } } }",
        '{ queueByName(name: "a") { id messages(limit: 1000) { id queueName content status } } }',
    ],
    ids=["introspection", "all of it", "the issue's", "50 messages", "allQueues", "queueByName"],
)
def test_what_is_usual_is_allowed(query):
    assert cost(query) <= GraphqlConfig().max_cost
