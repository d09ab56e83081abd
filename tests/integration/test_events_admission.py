"""Tickets and sessions over HTTP: who gets one, and in what form."""

import re

import pytest
from guarded import Guarded


@pytest.fixture
def broker(serve, cheap_passwords):
    """A broker with the users rita, who may read, and paul, who may publish."""
    broker = Guarded(serve(plugins=["memory", "auth_jwt", "sse"]))
    broker.add("rita", "viewer")
    broker.add("paul", "producer")
    return broker


def refused(answer):
    return answer.status, answer.json["code"]


ROUTES = ["/events/ticket", "/events/session"]


def test_a_ticket_is_in_no_cache_and_says_how_long_it_is_good(broker):
    rita, _ = broker.tokens("rita")

    answer = broker("POST", "/v1/events/ticket", rita)

    assert (answer.status, answer.headers["cache-control"]) == (201, "no-store")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", answer.json["ticket"])
    assert answer.json == {"ticket": answer.json["ticket"], "expires_in": 30}


def test_a_session_ends_with_the_token_that_it_was_made_of(broker):
    rita, _ = broker.tokens("rita")
    broker.server.advance(100.5)

    answer = broker("POST", "/events/session", rita, headers={"origin": "https://broker.test"})

    assert (answer.status, answer.body, answer.headers["cache-control"]) == (204, b"", "no-store")
    assert answer.headers["set-cookie"] == (
        f"__Host-broker_session=bearer%20{rita}; Path=/; HttpOnly; SameSite=Strict; Secure; "
        "Max-Age=799"
    )


def test_a_token_that_does_not_end_gives_a_session_that_ends_with_the_browser(broker):
    _, token = broker.run(
        broker.accounts.service_tokens.create(
            "wall", grants=["read:*"], now=broker.now, expires_at=None
        )
    )

    answer = broker("POST", "/events/session", token)

    assert answer.headers["set-cookie"].endswith("; Secure")


def test_anybody_can_end_a_session_also_when_the_token_is_over(broker):
    answer = broker("DELETE", "/events/session")

    assert (answer.status, answer.body) == (204, b"")
    assert "Max-Age=0" in answer.headers["set-cookie"]


@pytest.mark.parametrize("path", ROUTES)
def test_who_is_not_known_gets_nothing(broker, path):
    rita, _ = broker.tokens("rita")
    cookie = {"cookie": f"__Host-broker_session=bearer%20{rita}"}

    assert refused(broker("POST", path)) == (401, "unauthenticated")
    assert refused(broker("POST", path, "made-up")) == (401, "invalid-token")
    # A cookie opens streams and nothing else: no page of another site can make use of it.
    assert refused(broker("POST", path, headers=cookie)) == (401, "unauthenticated")
    assert refused(broker("GET", "/queues", headers=cookie)) == (401, "unauthenticated")


@pytest.mark.parametrize("path", ROUTES)
def test_who_could_be_told_nothing_hears_so_at_once(broker, path):
    paul, _ = broker.tokens("paul")

    answer = broker("POST", path, paul)

    assert refused(answer) == (403, "forbidden")
    assert answer.json["detail"] == 'this needs the scope "read:<queue>"'
    assert refused(broker("GET", "/events", paul)) == (403, "forbidden")


def test_one_more_ticket_than_an_identity_may_have_is_429(broker):
    rita, _ = broker.tokens("rita")
    answers = [broker("POST", "/events/ticket", rita) for _ in range(31)]

    assert [answer.status for answer in answers] == [201] * 30 + [429]
    assert refused(answers[-1]) == (429, "too-many-tickets")
    assert answers[-1].headers["retry-after"] == "5"
    broker.server.advance(30)
    assert broker("POST", "/events/ticket", rita).status == 201


def test_a_broker_for_everybody_gives_tickets_and_needs_no_cookie(serve):
    call = serve(plugins=["memory", "sse"], anonymous=True)

    assert call("POST", "/events/ticket").status == 201
    answer = call("POST", "/events/session")
    assert (answer.status, "set-cookie" in answer.headers) == (204, False)


@pytest.mark.parametrize("name", ["token", "access_token", "Authorization"])
@pytest.mark.parametrize("path", ["/events", "/v1/events", "/stream/q"])
def test_e1_a_token_in_the_query_is_400_whoever_asks_and_is_not_repeated(
    broker, caplog, path, name
):
    rita, _ = broker.tokens("rita")

    for token in (None, rita):
        answer = broker("GET", f"{path}?{name}={rita}", token)

        assert refused(answer) == (400, "malformed")
        assert f'"{name}"' in answer.json["detail"]
        assert rita not in answer.body.decode()
    assert rita not in caplog.text


@pytest.mark.parametrize("path", ROUTES)
def test_e1_what_opens_streams_is_not_given_for_a_token_in_the_query_either(broker, path):
    rita, _ = broker.tokens("rita")

    for token in (None, rita):
        answer = broker("POST", f"{path}?access_token={rita}", token)

        assert refused(answer) == (400, "malformed")
        assert '"access_token"' in answer.json["detail"]
