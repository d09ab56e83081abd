"""Every field of GraphQL's roots, asked by every role beside the route of REST that does the same:
who may, who may not and who must not know is answered alike."""

import re
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from roles import ACTIONS, SHIPPED, TOKENS, Glob, Role, Row, World, requesters

from broker_graphql.schema import make_schema


class Pair(NamedTuple):
    """A field, and the request of REST that does the same."""

    document: str
    row: Row


def pair(needs, field, method, path, body=None, *, kind="mutation", makes=False):
    """A pair whose field's arguments name parts of a Thing by their variables."""
    known = {"queue": "String!", "message": "ID!", "receipt": "String!"}
    used = [f"${name}: {type_}" for name, type_ in known.items() if f"${name}" in field]
    variables = f"({', '.join(used)})" if used else ""
    row = Row(method, path, needs, body, makes=makes)
    return Pair(f"{kind} {variables} {{ {field} }}", row)


def look(needs, field, path):
    return pair(needs, field, "GET", path, kind="query")


READ = ("read",)
MANAGE = ("manage",)
CONSUME = ("consume",)
PUBLISH = ("publish",)
DRAFT = {"content": "x"}
RESULTS = "results { outcome }"
PAIRS = [
    look((), "queues { nodes { name } }", "/queues"),
    look((), "allQueues { name }", "/queues"),
    look(READ, "queue(name: $queue) { name }", "/queues/{queue}"),
    look(READ, "queueByName(name: $queue) { name }", "/queues/{queue}"),
    look(READ, "queue(name: $queue) { messages { nodes { id } } }", "/queues/{queue}/messages"),
    look(READ, "queueByName(name: $queue) { messages { id } }", "/queues/{queue}/messages"),
    look(READ, "message(id: $message) { id }", "/messages/{message}"),
    look(READ, "messageById(id: $message) { id }", "/messages/{message}"),
    look(("admin",), "stats { version }", "/stats"),
    look((), "me { subject }", "/me"),
    pair(
        MANAGE,
        "createQueue(name: $queue) { name }",
        "POST",
        "/queues",
        {"name": "{queue}"},
        makes=True,
    ),
    pair(
        MANAGE,
        "updateQueue(name: $queue, policy: { paused: true }) { name }",
        "PATCH",
        "/queues/{queue}",
        {"paused": True},
    ),
    pair(MANAGE, "deleteQueue(name: $queue)", "DELETE", "/queues/{queue}"),
    pair(MANAGE, "purge(queue: $queue)", "POST", "/queues/{queue}/purge"),
    pair(MANAGE, "redrive(queue: $queue)", "POST", "/queues/{queue}/redrive"),
    pair(MANAGE, "pause(queue: $queue) { paused }", "POST", "/queues/{queue}/pause"),
    pair(MANAGE, "resume(queue: $queue) { paused }", "POST", "/queues/{queue}/resume"),
    pair(
        PUBLISH,
        'publishMessage(queue: $queue, message: { content: "x" }) { messageId }',
        "POST",
        "/queues/{queue}/messages",
        DRAFT,
    ),
    pair(
        PUBLISH,
        'publishMessages(queue: $queue, messages: [{ content: "x" }]) { messageId }',
        "POST",
        "/queues/{queue}/messages/batch",
        {"messages": [DRAFT]},
    ),
    pair(CONSUME, "lease(queue: $queue) { paused }", "POST", "/queues/{queue}/messages/lease", {}),
    pair(CONSUME, "ack(id: $message) { state }", "POST", "/messages/{message}/ack"),
    pair(
        CONSUME,
        "ack(id: $message, receipt: $receipt) { state }",
        "POST",
        "/messages/{message}/ack",
        {"receipt": "{receipt}"},
    ),
    pair(CONSUME, "nack(id: $message) { state }", "POST", "/messages/{message}/nack"),
    pair(
        CONSUME,
        "nack(id: $message, receipt: $receipt, requeue: true) { state }",
        "POST",
        "/messages/{message}/nack?requeue=true",
        {"receipt": "{receipt}"},
    ),
    *(
        pair(
            CONSUME,
            f"settle(settlements: [{{ receipt: $receipt, kind: {kind.upper()} }}]) {{ {RESULTS} }}",
            "POST",
            "/messages/settle",
            {kind: ["{receipt}"]},
        )
        for kind in ("ack", "retry", "reject", "release", "extend")
    ),
    pair(
        PUBLISH,
        "settle(settlements: [], publish: "
        f'[{{ queue: $queue, message: {{ content: "x" }} }}]) {{ {RESULTS} }}',
        "POST",
        "/messages/settle",
        {"publish": [{"queue": "{queue}", **DRAFT}]},
    ),
    pair(
        ("consume", "publish"),
        "settle(settlements: [{ receipt: $receipt, kind: ACK }], publish: "
        f'[{{ queue: $queue, message: {{ content: "x" }} }}]) {{ {RESULTS} }}',
        "POST",
        "/messages/settle",
        {"ack": ["{receipt}"], "publish": [{"queue": "{queue}", **DRAFT}]},
    ),
]

EVERYTHING = Glob(("*",))
ROLES = {
    **SHIPPED,
    "none": Role(),
    "manager": Role((("manage", EVERYTHING),)),
    "elsewhere": Role(tuple((action, Glob(tuple("other"))) for action in ACTIONS)),
}


@pytest.fixture
def world(serve, install) -> World:
    install("tokens", TOKENS)
    return World(serve(plugins=["memory", "tokens", "auth_jwt", "graphql"]))


def test_every_field_has_a_pair():
    schema = make_schema()
    fields = {*schema.query_type.fields, *schema.mutation_type.fields}
    assert {re.search(r"{ (\w+)", document)[1] for document, _ in PAIRS} == fields


def told(answer):
    """The code and the detail that an answer has, None for those of success."""
    if "errors" in answer.json:
        [error] = answer.json["errors"]
        return error["extensions"]["code"], error["message"]
    return None


def compare(world: World, pair: Pair, role: Role, queue: str) -> str | None:
    """Ask both ways, in the same state; return the code that both told."""
    document, row = pair
    thing = world.put(queue, message=not row.makes)
    plain = world.ask(row, thing, role.headers)
    expected = None
    if plain.status >= 400:
        expected = (plain.json["code"], plain.json["detail"].replace(str(thing.message), "ID"))
    thing = world.put(queue, message=not row.makes)
    before = world.everything()
    answer = world.graph(document, thing, role.headers)
    about = (document, role.headers, queue, answer, plain)
    assert answer.status == 200, about
    found = told(answer)
    if found is None:
        assert expected is None, about
        return None
    assert (found[0], found[1].replace(str(thing.message), "ID")) == expected, about
    assert world.everything() == before, about
    world.drop()
    if found[0] != "forbidden":
        # What one may not see answers as what is not there.
        assert world.graph(document, thing, role.headers) == answer, about
    return found[0]


@pytest.mark.parametrize("role", ROLES.values(), ids=ROLES)
def test_each_field_is_for_whom_the_route_is(world, role):
    for pair in PAIRS:
        code = compare(world, pair, role, "q")
        may = all(role.allows(action, "q") for action in pair.row.needs)
        if may:
            assert code is None, (pair, code)
        elif role.sees("q") or "admin" in pair.row.needs:
            assert code == "forbidden", (pair, code)
        else:
            assert code in ("queue-not-found", "message-not-found"), (pair, code)


@given(requester=requesters())
@settings(
    max_examples=15,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_each_field_is_for_whom_the_route_is_whatever_the_scopes(world, requester):
    queue, role = requester
    for pair in PAIRS:
        compare(world, pair, role, queue)
    thing = world.put(queue)
    listed = world.graph("{ queues { nodes { name } } allQueues { name } }", thing, role.headers)
    seen = [{"name": queue}] * role.allows("read", queue)
    assert listed.json["data"] == {"queues": {"nodes": seen}, "allQueues": seen}


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer bad"}], ids=["none", "bad"])
def test_who_is_not_known_is_not_even_read(world, headers):
    for document, row in PAIRS:
        thing = world.put("q", message=not row.makes)
        before = world.everything()
        answer = world.graph(document, thing, headers)
        assert (answer.status, world.everything()) == (401, before), document
        assert answer.headers["content-type"] == "application/problem+json"


def test_each_field_of_an_operation_is_permitted_by_itself(world):
    role = Role((("publish", EVERYTHING),))
    thing = world.put("q")
    document = """
        mutation ($queue: String!) {
            a: publishMessage(queue: $queue, message: { content: "x" }) { duplicate }
            b: lease(queue: $queue) { paused }
            c: publishMessage(queue: $queue, message: { content: "x" }) { duplicate }
        }
    """

    answer = world.graph(document, thing, role.headers).json

    published = {"duplicate": False}
    assert answer["data"] == {"a": published, "b": None, "c": published}
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["forbidden"]


def test_who_may_make_a_queue_does_not_see_what_is_in_it(world):
    role = Role((("manage", EVERYTHING),))
    thing = world.put("q")
    document = (
        "mutation ($queue: String!) { pause(queue: $queue) { name messages { nodes { id } } } }"
    )

    answer = world.graph(document, thing, role.headers).json

    assert answer["data"] == {"pause": {"name": "q", "messages": None}}
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["pause", "messages"], "forbidden")
