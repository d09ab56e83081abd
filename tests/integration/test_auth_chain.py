"""auth_jwt beside another plugin that authenticates: each takes its own."""

import pytest
from guarded import Guarded

OPAQUE = """
    from broker import Authenticator, Identity, hookimpl

    class Opaque(Authenticator):
        async def authenticate(self, credentials):
            asked.append(credentials.token)
            if credentials.token == "open-sesame":
                return Identity(subject="ali", scopes=frozenset({"admin"}), peer=credentials.peer)
            return None

    asked = []

    @hookimpl
    def provide_authenticator(plugin):
        return Opaque()
"""

ELSEWHERE = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwczovL2Vsc2V3aGVyZSJ9.c2ln"
"""A JWT of an issuer that nobody here trusts."""


@pytest.fixture
def broker(serve, install, cheap_passwords):
    install("opaque", OPAQUE)
    broker = Guarded(serve(plugins=["memory", "auth_jwt", "opaque"]))
    broker.add("alice", "admin")
    return broker


@pytest.fixture
def asked(broker):
    import acme_opaque

    return acme_opaque.asked


def test_a_token_of_another_kind_is_for_the_next_authenticator(broker, asked):
    assert broker("GET", "/me", "open-sesame").json["subject"] == "ali"
    assert broker("GET", "/me", ELSEWHERE).status == 401
    assert asked == ["open-sesame", ELSEWHERE]


def test_a_token_of_ours_is_for_nobody_else(broker, asked):
    access, refresh = broker.tokens("alice")

    assert broker("GET", "/me", access).json["subject"] == "alice"
    assert broker("GET", "/me", refresh).status == 401
    assert broker("GET", "/me", access[:-5]).status == 401
    assert asked == []


def test_who_refuses_a_token_cannot_be_told_from_the_answer(broker):
    access, _ = broker.tokens("alice")
    named = {"headers": {"X-Request-Id": "r"}}
    bad = [access[:-5], ELSEWHERE, "close-sesame", "rbt_AAAAAAAAAAAAAAAA." + "A" * 43]

    answers = [broker("GET", "/me", token, **named) for token in bad]

    assert len({(answer.status, answer.body) for answer in answers}) == 1
    assert len({tuple(answer.headers.items()) for answer in answers}) == 1


def test_another_scheme_is_not_ours(broker):
    headers = {"Authorization": "Basic YWxpY2U6eA=="}
    assert broker("GET", "/me", headers=headers).headers["www-authenticate"] == "Bearer"


def test_a_token_that_opens_no_login_cannot_be_logged_out(broker):
    assert broker("POST", "/logout", "open-sesame").status == 401
    assert broker("POST", "/logout").status == 401
    assert broker.refresh("open-sesame").status == 401
