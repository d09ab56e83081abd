"""A thousand tokens that were changed somewhere: each is refused, in one way."""

import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broker import InvalidToken

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
"""Of base64url, in the order of its values."""

NAMES = st.sampled_from(
    ["alg", "kid", "typ", "crit", "b64", "jwk", "iss", "aud", "sub", "jti", "iat", "exp", "nbf"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)

thousand = settings(
    max_examples=1000,
    # The tokens of one forge serve for all of them.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(params=["HS256", "ES256"])
def forge(make_forge: Callable[..., Any], request: pytest.FixtureRequest) -> Any:
    return make_forge(algorithm=request.param)


@st.composite
def flipped(draw: Any, forge: Any, token: str) -> str:
    at = draw(st.integers(0, len(token) - 1))
    return token[:at] + draw(st.sampled_from(ALPHABET + ".=+/ \n\0é")) + token[at + 1 :]


@st.composite
def cut(draw: Any, forge: Any, token: str) -> str:
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(token))] * 2)))
    return draw(st.sampled_from([token[:start] + token[end:], token[start:end]]))


@st.composite
def filled(draw: Any, forge: Any, token: str) -> str:
    at = draw(st.integers(0, len(token)))
    return token[:at] + draw(st.text(min_size=1)) + token[at:]


@st.composite
def lengthened(draw: Any, forge: Any, token: str) -> str:
    more = draw(st.sampled_from([token, *token.split("."), "A", ".", "é", "\udcff"]))
    return token + more * draw(st.integers(1, 3000))


@st.composite
def swapped(draw: Any, forge: Any, token: str) -> str:
    other = forge.tokens.issue_refresh("bob", session="t", version=2).text
    parts = st.sampled_from([*token.split("."), *other.split(".")])
    joined = st.lists(parts, min_size=1, max_size=5).map(".".join)
    return draw(joined.filter(lambda text: text != other))


@st.composite
def encoded_anew(draw: Any, forge: Any, token: str) -> str:
    parts = token.split(".")
    at, members = draw(st.sampled_from([(0, forge.header()), (1, forge.claims())]))
    changed = members | draw(st.dictionaries(NAMES | st.text(max_size=9), JSON, max_size=2))
    parts[at] = forge.join(draw(st.just(changed) | JSON))
    return ".".join(parts)


@st.composite
def respelled(draw: Any, forge: Any, token: str) -> str:
    """Change what a lenient reader of base64 does not look at."""
    parts = token.split(".")
    at = draw(st.integers(0, 2))
    spare = ALPHABET[ALPHABET.index(parts[at][-1]) ^ draw(st.integers(1, 3))]
    ends = [parts[at][:-1] + spare, parts[at] + "=", parts[at] + "==", parts[at] + "\n"]
    parts[at] = draw(st.sampled_from(ends))
    return ".".join(parts)


MUTATIONS = st.sampled_from([flipped, cut, filled, lengthened, swapped, encoded_anew, respelled])


@thousand
@given(mutations=st.data())
def test_a_mutated_token_is_an_invalid_token_and_nothing_else(
    forge: Any, mutations: st.DataObject
) -> None:
    token = forge.tokens.issue_access("alice", session="s", version=1)
    mutation = mutations.draw(MUTATIONS)
    mutated = mutations.draw(mutation(forge, token))
    if mutated != token:
        expect_refusal(forge, mutated)


@thousand
@given(text=st.text() | st.text(ALPHABET + ".") | st.binary().map(lambda data: data.decode("l1")))
def test_any_text_is_an_invalid_token(forge: Any, text: str) -> None:
    expect_refusal(forge, text)


@thousand
@given(part=st.dictionaries(NAMES, JSON) | JSON, is_header=st.booleans())
@example(part={}, is_header=True)
@example(part={}, is_header=False)
def test_what_we_did_not_write_is_refused_though_the_signature_is_right(
    forge: Any, part: object, is_header: bool
) -> None:
    parts = (part, forge.claims()) if is_header else (forge.header(), part)
    expect_refusal(forge, forge.sign(*parts))


def test_every_character_of_a_token_counts(forge: Any) -> None:
    token = forge.tokens.issue_access("alice", session="s", version=1)
    for at, old in enumerate(token):
        for other in {"A", "_", ".", "é"} - {old}:
            expect_refusal(forge, token[:at] + other + token[at + 1 :])


def expect_refusal(forge: Any, token: str) -> None:
    for verify in (forge.tokens.verify_access, forge.tokens.verify_refresh):
        with pytest.raises(InvalidToken) as refused:
            verify(token)
        assert type(refused.value) is InvalidToken
