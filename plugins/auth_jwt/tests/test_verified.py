"""What is remembered of tokens: no more than is said, and not for longer."""

from broker import Identity
from broker_auth_jwt.verified import (
    MOST_REFUSED,
    REFUSED_MS,
    RefusedTokens,
    Verified,
    VerifiedTokens,
)


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


def test_a_refused_token_is_remembered_for_a_moment() -> None:
    refused = RefusedTokens()
    assert not refused.has("a", now=5)

    refused.remember("a", now=5)

    assert [refused.has("a", now=5 + after) for after in (0, REFUSED_MS - 1, REFUSED_MS)] == [
        True,
        True,
        False,
    ]
    assert not refused.has("b", now=5)
    refused.forget()
    assert not refused.has("a", now=5)


def test_of_many_refused_tokens_the_last_are_remembered() -> None:
    refused = RefusedTokens()
    for number in range(MOST_REFUSED):
        refused.remember(str(number), now=5)
    refused.remember("0", now=6)

    refused.remember("one more", now=6)

    assert [refused.has(token, now=6) for token in ("0", "1", "2", "one more")] == [
        True,
        False,
        True,
        True,
    ]
    assert "one more" not in repr(vars(refused))


def test_who_asks_has_the_address_of_this_request() -> None:
    assert verified().identity("203.0.113.7") == Identity(
        subject="ann", scopes=frozenset({"read:*"}), peer="203.0.113.7", expires_at=1000
    )
