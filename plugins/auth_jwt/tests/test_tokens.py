"""The broker's own tokens: what they say, and for how long it is believed."""

from collections.abc import Callable
from typing import Any

import jwt
import msgspec
import pytest

from broker import InvalidToken
from broker.testing import ManualClock
from broker_auth_jwt.tokens import Claims, RefreshToken

ALGORITHMS = ["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"]

NOW = ManualClock().now()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_says_what_it_was_issued_for(
    make_forge: Callable[..., Any], algorithm: str
) -> None:
    tokens = make_forge(algorithm=algorithm).tokens
    access = tokens.verify_access(tokens.issue_access("alice", session="s1", version=7))
    assert access == Claims(
        subject="alice",
        jti=access.jti,
        session="s1",
        version=7,
        issued_at=NOW,
        expires_at=NOW + 900_000,
    )
    issued = tokens.issue_refresh("alice", session="s1", version=7)
    refresh = tokens.verify_refresh(issued.text)
    assert refresh == Claims(
        subject="alice",
        jti=issued.jti,
        session="s1",
        version=7,
        issued_at=NOW,
        expires_at=issued.expires_at,
    )
    assert issued.expires_at == NOW + 2_592_000_000
    assert access.jti != refresh.jti


def test_a_token_is_what_the_standards_say(forge: Any) -> None:
    text = forge.tokens.issue_access("älice", session="s1", version=7)
    key = forge.ring.signing
    assert jwt.get_unverified_header(text) == {"alg": "HS256", "kid": key.kid, "typ": "at+jwt"}
    options = {"verify_exp": False, "strict_aud": True}
    claims = jwt.decode(
        text, key.private, ["HS256"], options, audience="replika-broker", issuer="replika-broker"
    )
    jti = claims.pop("jti")
    assert len(jti) == 22
    assert claims == {
        "iss": "replika-broker",
        "aud": "replika-broker",
        "sub": "älice",
        "iat": NOW // 1000,
        "exp": NOW // 1000 + 900,
        "sid": "s1",
        "ver": 7,
    }


def test_no_two_tokens_are_the_same(forge: Any) -> None:
    issued = {forge.tokens.issue_access("alice", session="s", version=1) for _ in range(100)}
    assert len(issued) == 100


def test_what_a_standard_library_signs_is_accepted(forge: Any) -> None:
    key = forge.ring.signing
    text = jwt.encode(
        forge.claims(), key.private, "HS256", {"kid": key.kid, "typ": "at+jwt"}, sort_headers=False
    )
    assert forge.tokens.verify_access(text).subject == "alice"


def test_j4_a_token_ends_by_our_clock_and_a_leeway_of_30_s(forge: Any) -> None:
    text = forge.tokens.issue_access("alice", session="s", version=1)
    forge.clock.advance(900 + 29)
    assert forge.tokens.verify_access(text).expires_at == NOW + 900_000
    forge.clock.advance(0.999)
    assert forge.tokens.verify_access(text).subject == "alice"
    forge.clock.advance(0.001)
    with pytest.raises(InvalidToken):
        forge.tokens.verify_access(text)
    forge.clock.advance(1)
    with pytest.raises(InvalidToken):
        forge.tokens.verify_access(text)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_j4_a_token_of_the_future_waits_but_for_a_leeway_of_30_s(forge: Any, claim: str) -> None:
    now = NOW // 1000
    for ahead in (0, 29, 30):
        forge.tokens.verify_access(forge.sign(forge.header(), forge.claims(**{claim: now + ahead})))
    for ahead in (31, 3600):
        with pytest.raises(InvalidToken):
            forge.tokens.verify_access(
                forge.sign(forge.header(), forge.claims(**{claim: now + ahead}))
            )


def test_the_leeway_is_configurable(make_forge: Callable[..., Any]) -> None:
    forge = make_forge(leeway_seconds=0, access_seconds=60)
    text = forge.tokens.issue_access("alice", session="s", version=1)
    forge.clock.advance(59.999)
    forge.tokens.verify_access(text)
    forge.clock.advance(0.001)
    with pytest.raises(InvalidToken):
        forge.tokens.verify_access(text)


def test_a_refresh_token_is_shown_nowhere(forge: Any) -> None:
    issued = forge.tokens.issue_refresh("alice", session="s", version=1)
    assert repr(issued) == f"RefreshToken(jti={issued.jti!r})"
    assert issued.__rich_repr__() == [("jti", issued.jti)]
    assert isinstance(issued, RefreshToken)
    assert isinstance(issued, msgspec.Struct)
