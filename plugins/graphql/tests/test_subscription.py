"""Subscriptions: what is told to one who subscribed, and what is not."""

import pytest

from broker import Event, Forbidden, Identity
from broker_graphql.gate.asking import Asked
from broker_graphql.gate.refusal import Refused
from graphs import ADMIN, graph

ALL = "subscription { events { event queue messageId } }"


def subscribe(one, document=ALL, *, wake=lambda: None, **variables):
    identity = Identity(subject="somebody", scopes=one.scopes)
    executor = one.transport.executor
    operation = executor.prepare(Asked(query=document, variables=variables), identity)
    execution = executor.begin(identity, request_id="r-1", recheck=None)
    return executor.subscribe(operation, execution, wake)


def refusal(one, document, **variables):
    with pytest.raises(Refused) as refused:
        subscribe(one, document, **variables)
    return refused.value.errors


def shown(broker):
    return {measurement.name: measurement.points for measurement in broker.measure()}


async def told(subscription):
    """Return all that there is to take, each by its field."""
    results = []
    while (result := await subscription.next()) is not None:
        assert list(result) == ["data"]
        results += result["data"].values()
    return results


async def test_each_event_becomes_a_result(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("orders")
        subscription = subscribe(
            one,
            "subscription { events { event queue messageId timestamp count state movedTo reason } }",
        )
        [number] = await one.publish("orders", "a")
        results = await told(subscription)
    assert results == [
        {
            "event": "MESSAGE_PUBLISHED",
            "queue": "orders",
            "messageId": str(number),
            "timestamp": "2023-11-14T22:13:20.000Z",
            "count": 1,
            "state": "PENDING",
            "movedTo": None,
            "reason": None,
        }
    ]


async def test_only_what_is_asked_for_is_told(tmp_path):
    document = """
        subscription ($queue: [String!]!, $event: [EventKind!]) {
          events(queue: $queue, event: $event) { event queue }
        }
    """
    async with graph(tmp_path) as one:
        kinds = ["MESSAGE_PUBLISHED", "QUEUE_PAUSED"]
        subscription = subscribe(one, document, queue=["order*"], event=kinds)
        every = subscribe(one, document, queue=["mail"])
        await one.make("orders", "mail")
        await one.publish("orders", "a")
        await one.publish("mail", "b")
        await one.broker.queues.pause(ADMIN, "orders")

        assert await told(subscription) == [
            {"event": "MESSAGE_PUBLISHED", "queue": "orders"},
            {"event": "QUEUE_PAUSED", "queue": "orders"},
        ]
        assert await told(every) == [
            {"event": "QUEUE_CREATED", "queue": "mail"},
            {"event": "MESSAGE_PUBLISHED", "queue": "mail"},
        ]


@pytest.mark.parametrize(
    "document",
    [
        "subscription { mine: events { queue } }",
        'subscription { events(queue: "*") { queue } }',
        "subscription { ... { events { queue } } }",
        "subscription { ...A } fragment A on Subscription { ...B } "
        "fragment B on Subscription { ... on Subscription { events { queue } } }",
        "query Q { me { subject } } subscription S { events { queue } }",
        "subscription { events { queue } events { queue } }",
    ],
)
async def test_the_field_is_found_wherever_it_is(tmp_path, document):
    async with graph(tmp_path) as one:
        identity = Identity(subject="somebody", scopes=one.scopes)
        executor = one.transport.executor
        name = "S" if "query" in document else None
        operation = executor.prepare(Asked(query=document, operation_name=name), identity)
        execution = executor.begin(identity, request_id="r-1", recheck=None)
        subscription = executor.subscribe(operation, execution, lambda: None)
        await one.make("orders")

        assert await told(subscription) == [{"queue": "orders"}]


@pytest.mark.parametrize(
    "document",
    [
        "subscription { events @skip(if: true) { queue } }",
        "subscription ($yes: Boolean = true) { ... @include(if: $yes) { events { queue } } }",
        "subscription { events { queue } more: events { queue } }",
        "subscription { __typename }",
    ],
)
async def test_what_is_not_one_field_for_certain_is_refused(tmp_path, document):
    async with graph(tmp_path) as one:
        [error] = refusal(one, document)
    assert error["extensions"] == {"code": "invalid"}


@pytest.mark.parametrize(
    ("globs", "message"),
    [
        (["*"] * 51, "queue: expected at most 50 globs, received 51"),
        (["a", ""], 'queue: expected globs of 1 to 255 printable characters, received ""'),
    ],
)
async def test_globs_are_bounded(tmp_path, globs, message):
    document = "subscription ($queue: [String!]!) {\n  mine: events(queue: $queue) { queue } }"
    async with graph(tmp_path) as one:
        [error] = refusal(one, document, queue=globs)
    [field] = error["extensions"].pop("errors")
    assert error == {
        "message": message,
        "locations": [{"line": 2, "column": 3}],
        "path": ["mine"],
        "extensions": {"code": "invalid"},
    }
    assert f"{field['field']}: {field['message']}" == message


async def test_who_may_read_nothing_is_refused(tmp_path):
    async with graph(tmp_path) as one:
        one.scopes = frozenset({"publish:*"})
        [error] = refusal(one, ALL)
    assert error["extensions"] == {"code": "forbidden"}
    assert error["message"] == 'this needs the scope "read:<queue>"'


async def test_a_queue_that_is_named_must_be_one_that_may_be_read(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("orders", "mail")
        one.scopes = frozenset({"publish:orders", "read:mail"})
        [error] = refusal(one, 'subscription { events(queue: ["orders", "mail"]) { queue } }')
        # of what one does not even see, nothing is told
        subscription = subscribe(one, 'subscription { events(queue: ["new", "mail"]) { queue } }')
        await one.make("new")
        await one.publish("mail", "a")

        assert await told(subscription) == [{"queue": "mail"}]
    assert error["message"] == 'this needs the scope "read:orders"'


async def test_only_what_may_be_read_is_told(tmp_path):
    async with graph(tmp_path) as one:
        one.scopes = frozenset({"read:mine*"})
        subscription = subscribe(one)
        await one.make("mine", "yours", "mine-2")

        assert [each["queue"] for each in await told(subscription)] == ["mine", "mine-2"]


async def test_a_dead_letter_is_told_to_who_may_read_either_queue_that_is_asked_for(tmp_path):
    def letter(source, target):
        return Event(kind="message.dead_lettered", queue=source, at=0, subject="s", moved_to=target)

    async with graph(tmp_path) as one:
        one.scopes = frozenset({"read:mine*"})
        subscription = subscribe(one)
        other = subscribe(one, 'subscription { events(queue: ["your*", "mine-not"]) { queue } }')
        for each in (subscription, other):
            each.offer([letter("mine", "yours"), letter("yours", "mine"), letter("yours", "his")])

        assert [each["queue"] for each in await told(subscription)] == ["mine", "yours"]
        assert await told(other) == []


async def test_it_goes_on_with_what_may_be_read_by_then(tmp_path):
    async with graph(tmp_path) as one:
        subscription = subscribe(one)
        await one.make("mine", "yours")
        subscription.admit(Identity(subject="somebody", scopes=frozenset({"read:mine"})))

        assert [each["queue"] for each in await told(subscription)] == ["mine"]
        with pytest.raises(Forbidden):
            subscription.admit(Identity(subject="somebody", scopes=frozenset({"publish:*"})))


async def test_a_queue_that_is_named_must_stay_one_that_may_be_read(tmp_path):
    async with graph(tmp_path) as one:
        subscription = subscribe(one, 'subscription { events(queue: "orders") { queue } }')
        with pytest.raises(Forbidden):
            subscription.admit(
                Identity(subject="somebody", scopes=frozenset({"read:mail", "publish:orders"}))
            )


async def test_who_waits_is_woken(tmp_path):
    woken = []
    async with graph(tmp_path) as one:
        subscription = subscribe(one, wake=lambda: woken.append(True))
        await one.make("orders")

        assert woken == [True]
        assert await subscription.next() is not None
        assert await subscription.next() is None


async def test_who_takes_too_little_loses_all(tmp_path):
    woken = []
    async with graph(tmp_path, buffer=3) as one:
        await one.make("orders")
        subscription = subscribe(one, wake=lambda: woken.append(True))
        await one.publish("orders", "a", "b")
        await one.publish("orders", *"cdefg")  # what one operation brings is taken whole
        assert not subscription.is_lost
        await one.publish("orders", "h")

        assert subscription.is_lost
        assert len(woken) == 3
        assert await told(subscription) == []
        await one.publish("orders", "i")
        assert len(woken) == 3
        subscription.offer([])  # what was on its way when it was lost
        assert shown(one.broker)["broker_graphql_evicted"] == {(): 1}


async def test_open_subscriptions_are_shown(tmp_path):
    async with graph(tmp_path) as one:
        subscription = subscribe(one)
        assert shown(one.broker)["broker_graphql_subscriptions"] == {(): 1}
        subscription.close()

        assert shown(one.broker)["broker_graphql_subscriptions"] == {(): 0}


async def test_who_left_is_told_nothing(tmp_path):
    async with graph(tmp_path) as one:
        subscription = subscribe(one)
        await one.make("orders")
        subscription.close()
        subscription.close()
        await one.publish("orders", "a")

        assert await told(subscription) == []


async def test_what_goes_wrong_with_one_event_is_its_result(tmp_path):
    async with graph(tmp_path) as one:
        subscription = subscribe(one)
        await one.make("a")
        subscription.offer([Event(kind=None, queue="a", at=0, subject="s")])
        await one.make("b")

        first, wrong, last = [await subscription.next() for _ in range(3)]
    assert wrong["data"] is None
    assert wrong["errors"][0]["extensions"] == {"code": "internal", "request_id": "r-1"}
    assert first["data"] and last["data"]
