"""Limits as clients meet them: what is refused, and what every answer tells of what is left."""

import pytest
from guarded import Guarded

from broker import Identity, QueueSpec

NAMES = """
    from broker import Authenticator, Identity, hookimpl

    class Names(Authenticator):
        async def authenticate(self, credentials):
            return Identity(
                subject=credentials.token, scopes=frozenset({"admin"}), peer=credentials.peer
            )

    @hookimpl
    def provide_authenticator(plugin):
        return Names()
"""
"""Whoever comes is who the token says."""


@pytest.fixture
def limited(serve, install):
    """Start a broker with queues `q` and `other`, and with these limits; of logins with none."""
    install("names", NAMES)

    def start(**limits):
        call = serve(
            anonymous=True,
            plugins=["memory", "names", "ratelimit"],
            tables={"ratelimit": {"limits": {"login": False, **limits}}},
        )
        call.advance(40)  # a minute begins
        for name in ("q", "other"):
            owner = Identity(subject=f"of {name}", scopes=frozenset({"admin"}), peer=name)
            call.run(call.broker.queues.create(owner, QueueSpec(name)))
        return call

    return start


def publish(call, queue="q", *, who=None, **request):
    headers = {} if who is None else {"Authorization": f"Bearer {who}"}
    path = f"/queues/{queue}/messages"
    return call("POST", path, json={"content": "x"}, headers=headers, **request)


def told(answer):
    """What an answer says of limits."""
    return answer.headers.get("ratelimit-policy"), answer.headers.get("ratelimit")


def test_a_refusal_is_a_problem_that_says_when_to_come_again(limited):
    call = limited(writes={"rate": "2/minute", "activities": ["publish"]})
    policy = '"writes";q=2;w=60'

    first, second, refused = (publish(call) for _ in range(3))

    assert (first.status, told(first)) == (201, (policy, '"writes";r=1;t=61'))
    assert (second.status, told(second)) == (201, (policy, '"writes";r=0;t=91'))
    assert (refused.status, told(refused)) == (429, (policy, '"writes";r=0;t=91'))
    assert refused.headers["retry-after"] == "61"
    assert refused.headers["content-type"] == "application/problem+json"
    document = refused.json
    assert document.pop("request_id")
    assert document == {
        "type": "urn:replika-broker:problem:rate-limited",
        "title": "Too many requests",
        "status": 429,
        "detail": 'the rate limit "writes" is spent; try again in 61 s',
        "instance": "/queues/q/messages",
        "code": "rate-limited",
    }


def test_who_comes_again_when_the_refusal_said_is_served(limited):
    call = limited(writes={"rate": "2/minute", "activities": ["publish"]})
    while (answer := publish(call)).status == 201:
        pass

    call.advance(int(answer.headers["retry-after"]))

    assert publish(call).status == 201


ANSWERS = [
    ("POST", "/queues/q/messages", {"content": "x"}, 201),
    ("POST", "/queues/nowhere/messages", {"content": "x"}, 404),
    ("POST", "/queues/q/messages/batch", {"messages": [{"content": "x"}]}, 200),
    ("POST", "/queues/q/messages/lease", {}, 200),
    ("POST", "/queues/nowhere/messages/lease", {}, 404),
    ("GET", "/queues/q/messages/consume", None, 204),
    ("POST", "/messages/999/ack", {}, 404),
    ("GET", "/messages/999", None, 404),
    ("DELETE", "/messages/999", None, 404),
    ("GET", "/queues", None, 200),
    ("POST", "/queues", {"name": "new"}, 201),
    ("POST", "/queues", {"name": "q"}, 409),
    ("GET", "/queues/q", None, 200),
    ("PATCH", "/queues/q", {"paused": True}, 200),
    ("GET", "/queues/q/messages", None, 200),
    ("POST", "/queues/q/purge", None, 200),
    ("DELETE", "/queues/q", None, 204),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), ANSWERS)
def test_every_answer_that_a_limit_applied_to_tells_what_is_left(
    limited, method, path, body, status
):
    call = limited(all={"rate": "5/minute"})

    answer = call(method, path, json=body)

    assert answer.status == status
    assert told(answer) == ('"all";q=5;w=60', '"all";r=4;t=61')


@pytest.mark.parametrize(("method", "path", "body", "status"), ANSWERS)
def test_every_answer_is_a_refusal_once_the_limit_is_spent(limited, method, path, body, status):
    call = limited(all={"rate": "1/minute"})
    publish(call)

    answer = call(method, path, json=body)

    assert (answer.status, answer.json["code"]) == (429, "rate-limited")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        *ANSWERS,
        ("POST", "/queues/other/messages", {"content": "x", "delay": -1}, 422),
        ("GET", "/healthz", None, 200),
        ("GET", "/nowhere", None, 404),
        ("PUT", "/queues", None, 405),
    ],
)
def test_an_answer_that_no_limit_applied_to_tells_of_none(limited, method, path, body, status):
    call = limited(other={"rate": "1/minute", "queues": ["other"]})

    answer = call(method, path, json=body)

    assert answer.status == status
    assert told(answer) == (None, None)


@pytest.mark.parametrize(
    ("cost", "statuses"), [("requests", [200, 200, 200, 200]), ("messages", [200, 200, 429, 429])]
)
def test_a_batch_costs_its_messages_where_the_limit_says_so(limited, cost, statuses):
    call = limited(writes={"rate": "9/minute", "activities": ["publish"], "cost": cost})
    batch = {"messages": [{"content": "x"}] * 4}

    answers = [call("POST", "/queues/q/messages/batch", json=batch) for _ in range(4)]

    assert [answer.status for answer in answers] == statuses
    assert call("GET", "/queues/q").json["message_count"] == 4 * statuses.count(200)


def test_who_asks_for_more_than_is_ever_allowed_at_once_is_told_to_ask_for_less(limited):
    call = limited(writes={"rate": "9/minute", "cost": "messages"})
    batch = {"messages": [{"content": "x"}] * 10}

    answer = call("POST", "/queues/q/messages/batch", json=batch)

    assert (answer.status, answer.headers.get("retry-after")) == (429, None)
    assert answer.json["detail"] == (
        'this is more than the rate limit "writes" ever allows at once; ask for less'
    )
    assert told(answer) == ('"writes";q=9;w=60', '"writes";r=9;t=0')


def test_a_lease_costs_what_it_asks_for_and_settling_what_it_settles(limited):
    call = limited(
        leases={"rate": "5/minute", "activities": ["consume"], "cost": "messages"},
        ends={"rate": "3/minute", "activities": ["settle"], "cost": "messages"},
    )
    for _ in range(4):
        publish(call)

    leased = call("POST", "/queues/q/messages/lease", json={"limit": 4})
    one_more = call("GET", "/queues/q/messages/consume")
    too_many = call("GET", "/queues/q/messages/consume")
    receipts = [message["receipt"] for message in leased.json["messages"]]
    settled = [
        call("POST", "/messages/settle", json={"ack": some})
        for some in (receipts, receipts[:3], receipts[3:])
    ]

    assert [answer.status for answer in (leased, one_more, too_many)] == [200, 204, 429]
    assert [answer.status for answer in settled] == [429, 200, 429]


def test_a_limit_of_some_queues_leaves_the_others_alone(limited):
    call = limited(some={"rate": "1/minute", "queues": ["o*"]})

    statuses = [publish(call, queue).status for queue in ("other", "other", "q", "q")]

    assert statuses == [201, 429, 201, 201]


HERE, THERE = "203.0.113.7", "198.51.100.4"


@pytest.mark.parametrize(
    ("key", "served"),
    [
        ("identity", [("ann", HERE), ("bob", HERE), (None, HERE), (None, THERE)]),
        ("address", [("ann", HERE), ("ann", THERE)]),
        (
            "both",
            [
                ("ann", HERE),
                ("ann", THERE),
                ("bob", HERE),
                ("bob", THERE),
                (None, HERE),
                (None, THERE),
            ],
        ),
    ],
)
def test_whose_a_limit_is(limited, key, served):
    """Each in turn asks once, and is served who has not spent it by another way."""
    call = limited(all={"rate": "1/minute", "key": key})
    everybody = [(who, client) for who in ("ann", "bob", None) for client in (HERE, THERE)]

    answers = {
        (who, client): publish(call, who=who, client=client).status for who, client in everybody
    }

    assert {who for who, status in answers.items() if status == 201} == set(served)


def test_an_ipv6_address_is_one_with_its_neighbours(limited):
    call = limited(all={"rate": "1/minute", "key": "address"})
    clients = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1", f"::ffff:{HERE}", HERE]

    assert [publish(call, client=client).status for client in clients] == [201, 429, 201, 201, 429]


def test_each_of_several_windows_holds_and_is_told(limited):
    call = limited(writes={"rate": "4/minute; 2/second", "activities": ["publish"]})

    first = publish(call)
    statuses = [publish(call).status for _ in range(2)]
    call.advance(2)
    statuses += [publish(call).status for _ in range(2)]
    call.advance(2)
    last = publish(call)

    assert told(first) == (
        '"writes-1s";q=2;w=1, "writes-60s";q=4;w=60',
        '"writes-1s";r=1;t=2, "writes-60s";r=3;t=61',
    )
    assert (statuses, last.status) == ([201, 429, 201, 201], 429)
    assert told(last)[1] == '"writes-1s";r=2;t=0, "writes-60s";r=0;t=102'
    assert last.headers["retry-after"] == "57"


def test_all_limits_that_apply_are_told(limited):
    call = limited(
        all={"rate": "100/minute"},
        writes={"rate": "10/minute", "activities": ["publish"]},
        reads={"rate": "10/minute", "activities": ["read"]},
    )

    assert told(publish(call))[0] == '"all";q=100;w=60, "writes";q=10;w=60'


@pytest.fixture
def by_default(serve, cheap_passwords):
    """A broker with accounts, and with the limits that are there when nothing is said of them."""
    broker = Guarded(serve(plugins=["memory", "auth_jwt", "ratelimit"]))
    broker.add("alice", "admin")
    return broker


def test_by_default_an_address_may_log_in_ten_times_a_minute(by_default):
    answers = [by_default.log_in("alice") for _ in range(11)]
    elsewhere = by_default.log_in("alice", client=THERE)
    by_default.server.advance(int(answers[-1].headers["retry-after"]))

    assert [answer.status for answer in answers] == [200] * 10 + [429]
    assert {told(answer)[0] for answer in answers} == {'"login";q=10;w=60'}
    assert elsewhere.status == 200
    assert by_default.log_in("alice").status == 200


def test_by_default_nothing_else_is_limited(by_default):
    token, refresh_token = by_default.tokens("alice")
    by_default("POST", "/queues", token, json={"name": "q"})
    while by_default.log_in("alice").status == 200:
        pass

    answers = [by_default(method, path, token, json=body) for method, path, body, _ in ANSWERS]
    answers.append(by_default.refresh(refresh_token))

    assert {told(answer) for answer in answers} == {(None, None)}
    assert max(answer.status for answer in answers) < 429
