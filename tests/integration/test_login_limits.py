"""How often somebody may log in: ratelimit counts logins, auth_jwt counts failures."""

from functools import partial

import pytest
from guarded import Guarded

HOME = "203.0.113.7"
LIMITED = {
    "type": "urn:replika-broker:problem:rate-limited",
    "title": "Too many requests",
    "status": 429,
    "code": "rate-limited",
    "instance": "/login",
    "request_id": "r",
}


@pytest.fixture
def start(serve, cheap_passwords):
    """Start a broker with these plugins and their tables; paul may publish to its queue `q`."""

    def start(*plugins, **tables):
        broker = Guarded(serve(plugins=["memory", "auth_jwt", *plugins], tables=tables))
        broker.add("alice", "admin")
        broker.add("paul", "producer")
        alice, _ = broker.tokens("alice")
        assert broker("POST", "/queues", alice, json={"name": "q"}).status == 201
        broker.server.advance(3600)  # that login is long ago
        return broker

    return start


@pytest.fixture
def limited(start):
    """Nothing is configured for the plugin that limits."""
    return start("ratelimit")


def statuses(log_in, count):
    return [log_in(number).status for number in range(count)]


def fail(broker, number, client=HOME):
    return broker.log_in(f"user{number}", "wrong password", client=client)


def test_the_11th_login_from_an_address_in_a_minute_is_429(limited):
    assert statuses(partial(fail, limited), 10) == [401] * 10

    answer = limited.log_in("paul", headers={"X-Request-Id": "r"})

    assert answer.status == 429
    assert answer.headers["content-type"] == "application/problem+json"
    wait = int(answer.headers["retry-after"])
    assert 0 < wait <= 60
    detail = f'the rate limit "login" is spent; try again in {wait} s'
    assert answer.json == {**LIMITED, "detail": detail}
    assert answer.headers["ratelimit-policy"] == '"login";q=10;w=60'
    assert answer.headers["ratelimit"].startswith('"login";r=0;t=')
    limited.server.advance(wait)
    assert limited.log_in("paul").status == 200


def test_a_right_password_counts_too(limited):
    answers = [limited.log_in("paul") for _ in range(11)]

    assert [answer.status for answer in answers] == [200] * 10 + [429]
    left = [answer.headers["ratelimit"].split(";")[1] for answer in answers]
    assert left == [f"r={number}" for number in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0)]


def test_another_address_is_not_limited(limited):
    assert statuses(partial(fail, limited), 11)[-1] == 429

    assert limited.log_in("paul", client="203.0.113.8").status == 200


def test_the_addresses_of_a_64_share_their_logins(limited):
    def log_in(number):
        return fail(limited, number, client=f"2001:db8:0:1::{number:x}")

    assert statuses(log_in, 11) == [401] * 10 + [429]
    assert fail(limited, 0, client="2001:db8:0:2::1").status == 401


def test_a_login_that_was_limited_is_no_failure(limited):
    for _ in range(3):
        assert statuses(partial(fail, limited), 11)[-1] == 429
        for _ in range(6):
            assert limited.log_in("paul", "wrong password").status == 429
        limited.server.advance(900)

    assert limited.log_in("paul").status == 200


def test_the_failures_of_a_quarter_of_an_hour_count_beside_the_logins_of_a_minute(limited):
    assert statuses(lambda _: limited.log_in("paul", "wrong password"), 5) == [401] * 5
    limited.server.advance(120)

    answer = limited.log_in("paul", headers={"X-Request-Id": "r"})

    assert answer.headers["ratelimit"].startswith('"login";r=9;')
    assert (answer.status, answer.headers["retry-after"]) == (429, "780")
    assert answer.json == {**LIMITED, "detail": "the rate limit is spent; try again in 780 s"}
    assert fail(limited, 1).status == 401


def test_the_limit_of_logins_can_be_another(start):
    login = {"rate": "2/hour", "activities": ["login"], "key": "address"}
    broker = start("ratelimit", ratelimit={"limits": {"login": login}})
    assert statuses(partial(fail, broker), 3) == [401, 401, 429]


def test_there_need_be_no_limit_of_logins(start):
    free = start("ratelimit", ratelimit={"limits": {"login": False}})
    assert [free.log_in("paul").status for _ in range(50)] == [200] * 50


@pytest.mark.parametrize("plugins", [(), ("ratelimit",)])
def test_p2_who_is_logged_in_is_not_locked_out(start, plugins):
    broker = start(*plugins)
    access, refresh = broker.tokens("paul")
    _, text = broker.run(
        broker.accounts.service_tokens.create("shop", grants=["publish:q"], now=broker.now)
    )
    for number in range(25):
        broker.log_in("paul", "wrong password")
        fail(broker, number)
        broker.server.advance(15)
    assert broker.log_in("alice").status == 429
    assert broker.log_in("paul", client="198.51.100.1").status == 429

    for _ in range(30):
        answer = broker("POST", "/queues/q/messages", access, json={"content": "x"})
        assert answer.status == 201
        assert not any("ratelimit" in name for name in answer.headers)
        assert broker("GET", "/me", access).status == 200
        assert broker("POST", "/queues/q/messages", text, json={"content": "x"}).status == 201
        answer = broker.refresh(refresh)
        assert answer.status == 200
        access, refresh = answer.json["access_token"], answer.json["refresh_token"]


def test_p2_an_unknown_user_is_limited_with_the_same_words_and_the_same_work(start, monkeypatch):
    broker = start()
    verified, verify = [], broker.parts.passwords.verify

    async def count(password, password_hash):
        verified.append(password)
        return await verify(password, password_hash)

    monkeypatch.setattr(broker.parts.passwords, "verify", count)
    named = {"headers": {"X-Request-Id": "r"}}

    def story(name):
        client = f"198.51.100.{len(name)}"
        answers = [broker.log_in(name, "wrong", client=client, **named) for _ in range(7)]
        return [(answer.status, answer.headers, answer.body) for answer in answers]

    assert story("paul") == story("nobody")
    assert len(verified) == 2 * 5


def test_nothing_but_logins_is_limited_unless_it_is_said(limited):
    token, _ = limited.tokens("alice")

    for _ in range(300):
        answers = [
            limited("POST", "/queues/q/messages", token, json={"content": "x"}),
            limited("GET", "/queues/q", token),
            limited("GET", "/queues/q/messages/consume", token),
            limited("PATCH", "/queues/q", token, json={}),
        ]
        assert [answer.status for answer in answers] == [201, 200, 200, 200]
        assert not any("ratelimit" in name for answer in answers for name in answer.headers)
