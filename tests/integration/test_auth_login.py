"""Logging in, refreshing, logging out: what each answers, and what ends with it."""

import json
import shutil
from base64 import urlsafe_b64decode
from functools import partial

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from guarded import FORM, PASSWORD, Guarded

from broker.cli import cli
from broker.errors import Unavailable

BAD_TOKEN = {
    "type": "urn:replika-broker:problem:invalid-token",
    "title": "Invalid token",
    "status": 401,
    "code": "invalid-token",
    "detail": "the token is not valid",
    "request_id": "r",
}


@pytest.fixture
def start(serve, cheap_passwords):
    """Start a broker on the same files, with the users that it has."""

    def start(**table):
        return Guarded(serve(plugins=["memory", "auth_jwt"], tables={"auth_jwt": table}))

    return start


@pytest.fixture
def broker(start):
    """A broker with a queue `q` and the users alice, who may do everything, and paul, who may
    publish."""
    broker = start()
    broker.add("alice", "admin")
    broker.add("paul", "producer")
    alice, _ = broker.tokens("alice")
    assert broker("POST", "/queues", alice, json={"name": "q"}).status == 201
    return broker


@pytest.fixture
def logged_in(broker):
    """The access token and the refresh token of paul."""
    return broker.tokens("paul")


def audit(broker, action):
    """The lines of the audit about one kind of action."""
    path = broker.server.assembly.data_dir / "audit.jsonl"
    lines = map(json.loads, path.read_text().splitlines())
    return [line for line in lines if line["action"] == action]


def publish(broker, token):
    return broker("POST", "/queues/q/messages", token, json={"content": "x"}).status


def is_refused(answer):
    document = {key: value for key, value in answer.json.items() if key != "instance"}
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert {**document, "request_id": "r"} == BAD_TOKEN
    return answer.status == 401


def test_a_login_gives_tokens_and_they_are_not_stored_on_the_way(broker):
    answer = broker.log_in("paul")

    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("bearer", 900)
    assert publish(broker, answer.json["access_token"]) == 201


def test_me_tells_who_asks_and_what_they_may_do(broker):
    access, _ = broker.tokens("paul")

    answer = broker("GET", "/v1/me", access)

    assert answer.headers["cache-control"] == "no-store"
    assert answer.json == {
        "subject": "paul",
        "scopes": ["publish:*"],
        "expires_at": "2023-11-14T22:28:20.000Z",
    }
    assert broker("GET", "/me").status == 401


def test_wrong_password_unknown_user_and_disabled_user_are_answered_alike(broker):
    broker.add("gone", "producer")
    broker.run(broker.accounts.users.set_disabled("gone", True, now=broker.now))
    named = {"headers": {"X-Request-Id": "r"}}

    answers = [
        broker.log_in("paul", "wrong password", **named),
        broker.log_in("nobody", **named),
        broker.log_in("gone", **named),
    ]

    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert len({tuple(answer.headers.items()) for answer in answers}) == 1
    assert answers[0].json["detail"] == "wrong user name or password"
    failed = audit(broker, "login.failed")
    assert [line["subject"] for line in failed] == ["paul", "(unknown user)", "gone"]
    assert {line["peer"] for line in failed} == {"203.0.113.7"}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", ["username", "password"]),
        (b"username=paul", ["password"]),
        (b"username=&password=", ["username", "password"]),
        (b"username=a&username=b&password=c", ["username"]),
        (b"username=a&password=" + b"p" * 1025, ["password"]),
        (b"username=a&password=" + b"%C3%A9" * 513, ["password"]),
        (b"username=" + b"u" * 129 + b"&password=p", ["username"]),
        (b"username=a&password=p&grant_type=refresh_token", ["grant_type"]),
        (b"username=a&password=p&" + b"&".join(b"x%d=1" % n for n in range(20)), ["form"]),
        (b"username=a&password=%ff", ["form"]),
        (b"username=a&password=\xff", ["form"]),
    ],
)
def test_a_form_that_is_none_is_refused_without_an_echo(broker, body, fields):
    answer = broker("POST", "/login", body=body, content_type=FORM)

    assert (answer.status, answer.fields) == (422, fields)
    assert all("received" not in error for error in answer.json["errors"])


def test_a_login_is_a_form(broker):
    credentials = {"username": "paul", "password": PASSWORD}
    assert broker("POST", "/login", json=credentials).status == 415
    answer = broker("POST", "/login", body=b"username=paul&" + b"p" * 20_000, content_type=FORM)
    assert answer.status == 413


def test_other_fields_of_the_oauth2_form_do_no_harm(broker):
    form = f"grant_type=password&username=paul&password={PASSWORD}&scope=&client_id=x"
    content_type = FORM + "; charset=utf-8"
    answer = broker("POST", "/login", body=form.encode(), content_type=content_type)
    assert answer.status == 200


def test_a_refresh_gives_a_new_pair_and_the_old_access_token_goes_on(broker):
    access, refresh = broker.tokens("paul")

    answer = broker.refresh(refresh)

    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json["refresh_token"] != refresh
    assert publish(broker, answer.json["access_token"]) == 201
    assert publish(broker, access) == 201
    assert broker.refresh(answer.json["refresh_token"]).status == 200


def test_j8_a_refresh_token_that_is_used_again_ends_the_whole_login(broker):
    other_access, other_refresh = broker.tokens("paul")
    access, refresh = broker.tokens("paul")
    second = broker.refresh(refresh).json

    assert is_refused(broker.refresh(refresh))

    assert is_refused(broker.refresh(second["refresh_token"]))
    assert publish(broker, second["access_token"]) == 401
    assert publish(broker, access) == 401
    [line] = audit(broker, "refresh.reused")
    assert (line["subject"], line["peer"]) == ("paul", "203.0.113.7")
    assert publish(broker, other_access) == 201
    assert broker.refresh(other_refresh).status == 200


def test_j5_a_refresh_token_is_no_access_token_and_the_reverse(broker):
    access, refresh = broker.tokens("alice")

    assert is_refused(broker("GET", "/queues", refresh))
    assert is_refused(broker("GET", "/me", refresh))
    assert is_refused(broker("POST", "/logout", refresh))
    assert is_refused(broker.refresh(access))
    assert broker("GET", "/queues", access).status == 200


def test_j9_a_logout_ends_the_login_and_no_other(broker):
    access, refresh = broker.tokens("paul")
    other, _ = broker.tokens("paul")

    answer = broker("POST", "/logout", access)

    assert (answer.status, answer.body) == (204, b"")
    assert is_refused(broker("POST", "/queues/q/messages", access, json={"content": "x"}))
    assert is_refused(broker("POST", "/logout", access))
    assert is_refused(broker.refresh(refresh))
    assert publish(broker, other) == 201
    assert [line["subject"] for line in audit(broker, "logout")] == ["paul"]


def change_password(broker, access):
    users = broker.accounts.users
    hashed = broker.run(broker.parts.passwords.hash("another long password"))
    broker.run(users.set_password("paul", hashed, now=broker.now))


def disable(broker, access):
    broker.run(broker.accounts.users.set_disabled("paul", True, now=broker.now))


def log_out(broker, access):
    assert broker("POST", "/logout", access).status == 204


ENDINGS = [change_password, disable, log_out]


@pytest.mark.parametrize("end", ENDINGS)
def test_j9_what_ends_a_user_s_tokens_acts_on_the_next_request(broker, end):
    access, refresh = broker.tokens("paul")
    assert publish(broker, access) == 201  # so it is remembered

    end(broker, access)

    assert publish(broker, access) == 401
    assert is_refused(broker.refresh(refresh))


def test_j9_a_role_that_is_taken_away_is_missing_on_the_next_request(broker):
    broker.run(broker.accounts.users.grant("paul", ["consume:q"], now=broker.now))
    access, _ = broker.tokens("paul")
    assert publish(broker, access) == 201

    broker.run(broker.accounts.users.revoke("paul", ["producer"], now=broker.now))

    assert publish(broker, access) == 403
    assert broker("POST", "/queues/q/messages/lease", access, json={}).status == 200
    broker.run(broker.accounts.users.revoke("paul", ["consume:q"], now=broker.now))
    assert publish(broker, access) == 404


@pytest.mark.parametrize("end", [*ENDINGS, None])
def test_j9_what_ended_stays_so_over_a_restart_and_what_did_not_goes_on(broker, start, end):
    access, refresh = broker.tokens("paul")
    if end is not None:
        end(broker, access)

    again = start()

    assert again("GET", "/me", access).status == (200 if end is None else 401)
    assert again.refresh(refresh).status == (200 if end is None else 401)


def test_j4_a_token_ends_with_its_time_and_the_leeway(broker):
    access, _ = broker.tokens("paul")
    broker.server.advance(900 + 29)
    assert publish(broker, access) == 201
    broker.server.advance(2)
    assert publish(broker, access) == 401


def test_a_login_ends_when_nobody_refreshes_it(broker):
    _, refresh = broker.tokens("paul")
    broker.server.advance(30 * 24 * 3600 - 60)
    refresh = broker.refresh(refresh).json["refresh_token"]
    broker.server.advance(30 * 24 * 3600 + 60)
    assert is_refused(broker.refresh(refresh))


def test_p2_the_sixth_failure_of_an_account_in_a_quarter_of_an_hour_is_429(broker):
    access, _ = broker.tokens("paul")
    wrong = partial(broker.log_in, "paul", "wrong password")
    assert [wrong().status for _ in range(5)] == [401] * 5

    answer = wrong()

    assert (answer.status, answer.json["code"]) == (429, "rate-limited")
    assert 0 < int(answer.headers["retry-after"]) <= 900
    assert broker.log_in("paul").status == 429  # also with the right password
    assert publish(broker, access) == 201  # who is logged in is not locked out
    assert broker.log_in("alice").status == 200
    [line] = audit(broker, "login.limited")
    assert (line["subject"], line["peer"]) == ("paul", "203.0.113.7")

    broker.server.advance(900)

    assert broker.log_in("paul").status == 200


def test_logins_are_counted_by_what_came_of_them(broker):
    def counted():
        [logins] = [one for one in broker.server.broker.measure() if one.name == "broker_logins"]
        return logins.points

    assert counted() == {("ok",): 1, ("failed",): 0, ("limited",): 0}

    for _ in range(5):
        broker.log_in("paul", "wrong password")
    broker.log_in("nobody", "wrong password")
    for _ in range(2):  # the second is refused without a look into the database
        broker.log_in("paul")
    broker.log_in("alice")

    assert counted() == {("ok",): 2, ("failed",): 6, ("limited",): 2}


def test_p2_an_unknown_account_is_limited_like_any_other(broker):
    answers = [broker.log_in("nobody", "wrong password").status for _ in range(6)]
    assert answers == [401] * 5 + [429]


def test_p2_the_21st_failure_from_an_address_is_429(broker):
    failures = [broker.log_in(f"user{n}", "wrong password").status for n in range(20)]
    assert failures == [401] * 20

    assert broker.log_in("alice").status == 429


def test_a_success_makes_good_for_the_failures_before_it(broker):
    for _ in range(3):
        assert [broker.log_in("paul", "wrong password").status for _ in range(4)] == [401] * 4
        assert broker.log_in("paul").status == 200


def test_t2_a_service_token_may_do_what_it_was_made_for_until_it_ends(broker):
    tokens = broker.accounts.service_tokens
    made, text = broker.run(
        tokens.create("shop", grants=["publish:q"], now=broker.now, expires_at=broker.now + 60_000)
    )

    assert publish(broker, text) == 201
    assert broker("GET", "/queues/q/messages/consume", text).status == 403
    assert broker("GET", "/me", text).json["subject"] == "token:shop"
    assert broker("POST", "/logout", text).status == 409
    id_, _, secret = text.partition(".")
    assert publish(broker, f"{id_}.{secret[::-1]}") == 401
    assert publish(broker, f"{id_}.") == 401

    broker.server.advance(60)

    assert publish(broker, text) == 401
    other, other_text = broker.run(
        tokens.create("other", grants=["publish:q"], now=broker.now, expires_at=None)
    )
    assert publish(broker, other_text) == 201
    broker.run(tokens.revoke(other.id, now=broker.now))
    assert publish(broker, other_text) == 401
    assert made.digest not in text


def test_t2_a_flood_of_one_made_up_token_asks_the_database_seldom(broker, monkeypatch):
    tokens = broker.accounts.service_tokens
    _, text = broker.run(tokens.create("shop", grants=["publish:q"], now=broker.now))
    made_up = text[:-2] + ("BB" if text.endswith("AA") else "AA")
    found, find = [], tokens.find

    async def count(token_id):
        found.append(token_id)
        return await find(token_id)

    monkeypatch.setattr(tokens, "find", count)

    assert [publish(broker, made_up) for _ in range(20)] == [401] * 20
    assert len(found) == 1
    assert publish(broker, text) == 201  # the same id
    broker.run(broker.accounts.changes.increment())
    assert [publish(broker, made_up) for _ in range(20)] == [401] * 20
    assert len(found) == 3


def test_when_a_service_token_was_used_is_written_down(broker):
    tokens = broker.accounts.service_tokens
    made, text = broker.run(
        tokens.create("shop", grants=["publish:q"], now=broker.now, expires_at=None)
    )
    publish(broker, text)
    used = broker.now

    broker.server.advance(60)

    assert broker.run(tokens.find(made.id)).last_used_at == used


def test_a_login_after_a_rotation_is_signed_with_the_new_key(broker, tmp_path):
    _, before = broker.tokens("paul")
    config = tmp_path / "rotating.toml"
    config.touch(0o600)
    config.write_text('[broker]\nplugins = ["auth_jwt"]\n')

    done = CliRunner().invoke(cli, ["key", "rotate", "--json", "--config", str(config)])

    [new, old] = json.loads(done.stdout)
    access, after = broker.tokens("paul")
    assert [header(token)["kid"] for token in (before, after)] == [old["kid"], new["kid"]]
    assert publish(broker, access) == 201
    assert broker.refresh(before).status == 200


def header(token):
    part = token.partition(".")[0]
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_the_public_keys_of_hmac_are_none(broker):
    answer = broker("GET", "/.well-known/jwks.json")
    assert (answer.status, answer.json) == (200, {"keys": []})


def test_users_that_cannot_be_looked_up_are_a_503_and_never_anonymous(broker, monkeypatch):
    access, _ = broker.tokens("alice")

    async def fail():
        raise OSError("the database is gone")

    monkeypatch.setattr(broker.accounts.changes, "current", fail)

    assert publish(broker, access) == 503


@st.composite
def mutations(draw, token):
    """What came of a token on the way: it is still a header, and another token."""
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(token))] * 2)))
    filling = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=20)
    parts = st.lists(st.sampled_from([*token.split("."), ""]), min_size=1, max_size=4)
    mutated = draw(
        st.one_of(
            filling.map(lambda text: token[:start] + text + token[end:]),
            st.just(token[start:end]),
            parts.map(".".join),
            st.integers(2, 30).map(lambda times: token * times),
            filling,
        )
    ).strip()
    assume(mutated not in {"", token})
    return mutated


@settings(
    max_examples=1000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_a_thousand_mutated_tokens_get_one_and_the_same_401(broker, logged_in, data):
    mutated = data.draw(st.sampled_from(logged_in).flatmap(mutations))

    answer = broker("GET", "/queues", mutated, headers={"X-Request-Id": "r"})

    assert is_refused(answer)
    assert answer.json["instance"] == "/queues"


def test_a_flood_of_refused_logins_asks_the_database_seldom(broker, monkeypatch):
    for _ in range(5):
        broker.log_in("paul", "wrong password")
    assert broker.log_in("paul").status == 429

    async def fail(*_):
        raise AssertionError("asked")

    monkeypatch.setattr(broker.accounts.attempts._database, "change", fail)
    answers = [broker.log_in("paul").status for _ in range(20)]

    assert answers == [429] * 20
    assert len(audit(broker, "login.limited")) == 1


def test_passwords_that_cannot_be_checked_are_no_failures(broker, monkeypatch):
    async def be_busy(*_):
        raise Unavailable("too many")

    with monkeypatch.context() as patch:
        patch.setattr(broker.parts.passwords, "verify", be_busy)
        answers = [broker.log_in("paul").status for _ in range(6)]

    assert answers == [503] * 6
    assert broker.log_in("paul").status == 200


def test_failures_of_a_clock_that_was_ahead_lock_nobody_out(broker):
    ahead = broker.now + 10**11
    for _ in range(5):
        broker.run(broker.accounts.attempts.begin("paul", "203.0.113.7", now=ahead))
    assert broker.log_in("paul").status == 200


def test_a_page_of_another_site_spends_no_attempts(broker):
    there = {"headers": {"Sec-Fetch-Site": "cross-site"}}
    answers = [broker.log_in("paul", "wrong password", **there) for _ in range(6)]

    assert {(answer.status, answer.json["code"]) for answer in answers} == {(403, "cross-site")}
    assert broker.log_in("paul", headers={"Sec-Fetch-Site": "same-origin"}).status == 200


def test_the_audit_log_names_no_user_who_is_not_there(broker):
    for name in ("MyS3cretPassw0rd", "nobody"):
        broker.log_in(name, "wrong password")

    failed = audit(broker, "login.failed")
    assert [line["subject"] for line in failed] == ["(unknown user)"] * 2


def test_users_in_a_file_that_was_replaced_are_a_503(broker, tmp_path):
    access, _ = broker.tokens("alice")
    shutil.copy(tmp_path / "auth.db", tmp_path / "copy.db")
    (tmp_path / "copy.db").rename(tmp_path / "auth.db")

    assert publish(broker, access) == 503
    assert broker("GET", "/readyz").status == 503


def wait_for_a_message(broker, token):
    # So it is remembered, and the request waits when this returns.
    assert broker("GET", "/me", token).status == 200
    return broker.server.begin(
        "POST",
        "/queues/q/messages/lease",
        json={"wait": 20},
        headers={"Authorization": f"Bearer {token}"},
    )


@pytest.mark.parametrize("end", ENDINGS)
def test_j9_who_loses_a_login_while_waiting_gets_no_message(broker, end):
    broker.run(broker.accounts.users.grant("paul", ["consume:q"], now=broker.now))
    access, _ = broker.tokens("paul")
    waiting = wait_for_a_message(broker, access)
    end(broker, access)

    broker.server.advance(5)

    assert is_refused(broker.server.finish(waiting))


def test_j9_who_loses_a_role_while_waiting_gets_no_message(broker):
    broker.run(broker.accounts.users.grant("paul", ["consume:q"], now=broker.now))
    paul, _ = broker.tokens("paul")
    alice, _ = broker.tokens("alice")
    waiting = wait_for_a_message(broker, paul)
    broker.run(broker.accounts.users.revoke("paul", ["consume:q"], now=broker.now))

    assert publish(broker, alice) == 201

    assert broker.server.finish(waiting).status == 403
    counts = broker("GET", "/queues/q", alice).json["counts"]
    assert (counts["pending"], counts["processing"]) == (1, 0)


def test_j10_a_token_that_expires_while_its_client_waits_gets_no_message(broker):
    broker.run(broker.accounts.users.grant("paul", ["consume:q"], now=broker.now))
    access, _ = broker.tokens("paul")
    broker.server.advance(900 + 29)
    waiting = wait_for_a_message(broker, access)

    broker.server.advance(5)

    assert is_refused(broker.server.finish(waiting))
