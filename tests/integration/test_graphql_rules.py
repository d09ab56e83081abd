"""The rules that stand before every operation, met over GraphQL: limits, interceptors, what the
storage cannot do, how much goes on at one time."""

import pytest

from broker import Identity, QueueSpec

OWNER = Identity(subject="owner", scopes=frozenset({"admin"}))

PUBLISH = 'publishMessage(queue: "q", message: { content: "x" }) { messageId }'
BATCH = """
    mutation ($messages: [MessageInput!]!) {
        publishMessages(queue: "q", messages: $messages) { messageId }
    }
"""


def graphql(call, query, **variables):
    return call("POST", "/graphql", json={"query": query, "variables": variables})


def codes(answer):
    return [error["extensions"]["code"] for error in answer.json.get("errors", ())]


@pytest.fixture
def limited(serve):
    """Start a broker with a queue `q`, and with these limits."""

    def start(**limits):
        call = serve(
            anonymous=True,
            plugins=["memory", "ratelimit", "graphql"],
            tables={"ratelimit": {"limits": {"login": False, **limits}}},
        )
        call.advance(40)  # a minute begins
        call.run(call.broker.queues.create(OWNER, QueueSpec("q")))
        return call

    return start


def test_who_spent_the_limit_is_told_when_to_come_again(limited):
    call = limited(writes={"rate": "2/minute", "activities": ["publish"]})
    query = f"mutation {{ a: {PUBLISH} b: {PUBLISH} c: {PUBLISH} }}"

    answer = graphql(call, query)

    assert answer.status == 200
    assert answer.json["data"] == {"a": {"messageId": "1"}, "b": {"messageId": "2"}, "c": None}
    [error] = answer.json["errors"]
    assert error["path"] == ["c"]
    assert error["message"] == 'the rate limit "writes" is spent; try again in 61 s'
    retry_after = error["extensions"].pop("retry_after")
    assert error["extensions"] == {"code": "rate-limited"}
    assert answer.headers["ratelimit-policy"] == '"writes";q=2;w=60'
    assert answer.headers["ratelimit"] == '"writes";r=0;t=91'
    call.advance(retry_after)
    assert codes(graphql(call, f"mutation {{ {PUBLISH} }}")) == []


@pytest.mark.parametrize("cost", ["requests", "messages"])
def test_each_field_costs_what_the_request_of_rest_costs(limited, cost):
    call = limited(all={"rate": "100/minute", "cost": cost})

    def left():
        quota = call("GET", "/queues/q").headers["ratelimit"]
        return int(quota.partition("r=")[2].partition(";")[0])

    def spent(method, path, body):
        before = left()
        call(method, path, json=body)
        return before - left() - 1

    message = {"content": "x"}
    for query, variables, path, body in [
        (f"mutation {{ {PUBLISH} }}", {}, "/queues/q/messages", message),
        (
            BATCH,
            {"messages": [message] * 7},
            "/queues/q/messages/batch",
            {"messages": [message] * 7},
        ),
        (
            'mutation { lease(queue: "q", limit: 5) { paused } }',
            {},
            "/queues/q/messages/lease",
            {"limit": 5},
        ),
        ('mutation { ack(id: "1") { state } }', {}, "/messages/2/ack", {}),
        ('mutation { nack(id: "99") { state } }', {}, "/messages/99/nack", {}),
        ('mutation { pause(queue: "q") { paused } }', {}, "/queues/q/pause", {}),
        ('mutation { purge(queue: "q") }', {}, "/queues/q/purge", {}),
        ('mutation { createQueue(name: "a") { name } }', {}, "/queues", {"name": "b"}),
        ('mutation { createQueue(name: "a b") { name } }', {}, "/queues", {"name": "a b"}),
    ]:
        asked = {"query": query, "variables": variables}
        assert spent("POST", "/graphql", asked) == spent("POST", path, body), query


def test_so_many_fields_cost_so_much(limited):
    call = limited(writes={"rate": "100/minute", "activities": ["publish"], "cost": "messages"})
    fields = " ".join(f"m{number}: {PUBLISH}" for number in range(9))

    several = graphql(call, f"mutation {{ {fields} }}")
    batch = graphql(call, BATCH, messages=[{"content": "x"}] * 9)

    assert several.headers["ratelimit"].startswith('"writes";r=91;')
    assert batch.headers["ratelimit"].startswith('"writes";r=82;')


def test_more_than_is_ever_allowed_at_once_never_passes(limited):
    call = limited(writes={"rate": "9/minute", "cost": "messages"})

    answer = graphql(call, BATCH, messages=[{"content": "x"}] * 10)

    [error] = answer.json["errors"]
    assert error["extensions"] == {"code": "rate-limited"}
    assert error["message"].endswith("ever allows at once; ask for less")


CENSOR = """
    from broker import Interceptor, Rejected, hookimpl

    class Censor(Interceptor):
        async def before_publish(self, identity, messages):
            if any(b"secret" in message.body for message in messages):
                raise Rejected("it is a secret")
            if any(b"broken" in message.body for message in messages):
                raise RuntimeError("my password is hunter2")
            return messages

    @hookimpl
    def provide_interceptor(plugin):
        return Censor()
"""


@pytest.fixture
def censored(serve, install):
    install("censor", CENSOR)
    call = serve(anonymous=True, plugins=["memory", "censor", "graphql"])
    call("POST", "/queues", json={"name": "q"})
    return call


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (
            """
            mutation ($message: MessageInput!) {
                publishMessage(queue: "q", message: $message) { messageId }
            }
            """,
            "message.content",
        ),
        (
            """
            mutation ($message: MessageInput!) {
                publishMessages(queue: "q", messages: [{ content: "x" }, $message]) { messageId }
            }
            """,
            "messages[].content",
        ),
        (
            """
            mutation ($message: MessageInput!) {
                settle(settlements: [], publish: [{ queue: "q", message: $message }]) {
                    published { messageId }
                }
            }
            """,
            "publish[].message.content",
        ),
    ],
    ids=["one", "several", "settle"],
)
def test_an_interceptor_refuses_whatever_way_a_message_comes(censored, query, field):
    refused = graphql(censored, query, message={"content": "a secret"})
    broken = graphql(censored, query, message={"content": "broken"})

    [error] = refused.json["errors"]
    assert error["message"] == f"{field}: it is a secret"
    assert error["extensions"] == {
        "code": "rejected",
        "errors": [{"field": field, "message": "it is a secret"}],
    }
    [error] = broken.json["errors"]
    assert error["message"] == "Internal error"
    assert error["extensions"]["code"] == "internal"
    assert b"hunter2" not in broken.body
    assert censored("GET", "/queues/q").json["message_count"] == 0


MODEST = """
    from broker import hookimpl
    from broker.builtin.memory import MemoryStorage

    class Modest(MemoryStorage):
        capabilities = frozenset()

    @hookimpl
    def provide_storage(plugin):
        return Modest()
"""


@pytest.mark.parametrize(
    ("field", "argument"),
    [
        (
            'publishMessage(queue: "q", message: { content: "x", priority: 9 }) { messageId }',
            "message.priority",
        ),
        (
            'publishMessages(queue: "q", messages: [{ content: "x", group: "g" }]) { messageId }',
            "messages[].group",
        ),
        (
            'settle(settlements: [], publish: [{ queue: "q", message: { content: "x", '
            'dedupKey: "k" } }]) { published { messageId } }',
            "publish[].message.dedupKey",
        ),
        ('createQueue(name: "new", policy: { ordering: GROUP_FIFO }) { name }', "policy.ordering"),
        ('updateQueue(name: "q", policy: { ordering: GROUP_FIFO }) { name }', "policy.ordering"),
    ],
)
def test_what_the_storage_cannot_do_is_refused(serve, install, field, argument):
    install("modest", MODEST)
    call = serve(anonymous=True, plugins=["modest", "graphql"])
    call("POST", "/queues", json={"name": "q"})

    [error] = graphql(call, f"mutation {{ {field} }}").json["errors"]

    assert error["extensions"]["code"] == "unsupported"
    assert [wrong["field"] for wrong in error["extensions"]["errors"]] == [argument]


WAIT = 'mutation { lease(queue: "q", wait: 20) { deliveries { message { id } } } }'


def test_who_waits_is_none_of_those_in_flight(serve):
    call = serve(anonymous=True, plugins=["memory", "graphql"], server={"max_requests": 1})
    call("POST", "/queues", json={"name": "q"})

    waiting = call.begin("POST", "/graphql", json={"query": WAIT})
    published = graphql(call, f"mutation {{ {PUBLISH} }}")

    assert (published.status, codes(published)) == (200, [])
    [delivery] = call.finish(waiting).json["data"]["lease"]["deliveries"]
    assert delivery["message"]["id"] == "1"


def test_no_more_wait_than_may(serve):
    call = serve(anonymous=True, plugins=["memory", "graphql"], max_waiting_per_identity=1)
    call("POST", "/queues", json={"name": "q"})
    waiting = call.begin("POST", "/graphql", json={"query": WAIT})

    refused = graphql(call, WAIT)

    call.hang_up(waiting)
    [error] = refused.json["errors"]
    assert error["extensions"] == {"code": "too-many-waiting", "retry_after": 1.0}


def test_a_broker_that_drains_ends_the_wait_and_begins_nothing(serve):
    call = serve(anonymous=True, plugins=["memory", "graphql"])
    call("POST", "/queues", json={"name": "q"})
    waiting = call.begin("POST", "/graphql", json={"query": WAIT})

    call.broker.drain()

    assert call.finish(waiting).json == {"data": {"lease": {"deliveries": []}}}
    late = graphql(call, f"mutation {{ {PUBLISH} }}")
    assert (late.status, late.json["code"]) == (503, "unavailable")
    assert late.headers["retry-after"] == "1"
