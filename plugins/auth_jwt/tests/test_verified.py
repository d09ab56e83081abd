"""What is remembered of tokens: no more than is said, and not for longer."""

from broker import Identity
from broker_auth_jwt.verified import Verified, VerifiedTokens


def verified(ends_at: int | None = 1000) -> Verified:
    scopes = frozenset({"read:*"})
    return Verified(subject="ann", scopes=scopes, expires_at=ends_at, ends_at=ends_at)


def test_a_token_is_remembered_until_it_is_over() -> None:
    tokens = VerifiedTokens()
    tokens.remember("a", verified(ends_at=1000))
    tokens.remember("b", verified(ends_at=None))

    assert tokens.find("a", now=999) == verified(ends_at=1000)
    assert tokens.find("a", now=1000) is None
    assert tokens.find("a", now=0) is None  # and forgotten
    assert tokens.find("b", now=10**15) == verified(ends_at=None)


def test_the_one_that_was_used_longest_ago_goes_first() -> None:
    tokens = VerifiedTokens(limit=2)
    for token in "ab":
        tokens.remember(token, verified())
    tokens.find("a", now=0)

    tokens.remember("c", verified())

    assert [tokens.find(token, now=0) is not None for token in "abc"] == [True, False, True]


def test_all_are_forgotten_at_once() -> None:
    tokens = VerifiedTokens()
    tokens.remember("a", verified())
    tokens.forget()
    assert tokens.find("a", now=0) is None


def test_a_token_is_not_kept_as_text() -> None:
    tokens = VerifiedTokens()
    tokens.remember("very-secret", verified())
    assert "very-secret" not in repr(vars(tokens))


def test_who_asks_has_the_address_of_this_request() -> None:
    assert verified().identity("203.0.113.7") == Identity(
        subject="ann", scopes=frozenset({"read:*"}), peer="203.0.113.7", expires_at=1000
    )
