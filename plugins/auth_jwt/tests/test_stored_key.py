"""Keys as they are kept: made, named, shown to others, and read again."""

import contextlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jwt
import msgspec
import pytest
from forge import make_key
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_auth_jwt.stored_key import StoredKey, generate, thumbprint

NOW = 1_700_000_000_999

PRIVATE = {"k", "d", "p", "q", "dp", "dq", "qi", "oth", "r", "t"}
"""The private members of RFC 7518, section 6."""

SIZES = {"HS256": 32, "HS384": 48, "HS512": 64}


@pytest.fixture(params=["RS256", "ES256", "EdDSA"])
def asymmetric(make_forge: Callable[..., Any], request: pytest.FixtureRequest) -> StoredKey:
    return make_forge(algorithm=request.param).stored()


@pytest.mark.parametrize("algorithm", SIZES)
def test_a_key_for_hmac_is_as_long_as_the_hash_and_has_a_random_id(algorithm: Any) -> None:
    first, second = generate(algorithm, now=NOW), generate(algorithm, now=NOW)
    assert len(first.load()) == SIZES[algorithm]
    assert first.load() != second.load()
    assert first.kid != second.kid
    assert len(first.kid) == 22
    assert (first.created_at, first.verifies_until) == (1_700_000_000_000, None)
    assert first.public() is None


def test_a_key_pair_is_named_by_its_thumbprint(asymmetric: StoredKey) -> None:
    public = asymmetric.public()
    assert public is not None
    assert asymmetric.kid == thumbprint(public)


@pytest.mark.parametrize(
    ("jwk", "expected"),
    [
        # RFC 7638, section 3.1
        (
            {
                "kty": "RSA",
                "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuh"
                "DR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h"
                "4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOp"
                "bISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur"
                "-kEgU8awapJzKnqDKgw",
                "e": "AQAB",
                "alg": "RS256",
                "kid": "2011-04-29",
            },
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        ),
        # RFC 8037, appendix A.3
        (
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
    ],
)
def test_the_thumbprint_is_that_of_the_standards(jwk: dict[str, str], expected: str) -> None:
    assert thumbprint(jwk) == expected


def test_others_see_no_private_member(asymmetric: StoredKey) -> None:
    public = asymmetric.public()
    assert public is not None
    assert not PRIVATE & public.keys()
    named = {"kid": asymmetric.kid, "alg": asymmetric.alg, "use": "sig", "kty": asymmetric.kty}
    assert public.items() >= named.items()
    secrets = msgspec.to_builtins(asymmetric)
    assert PRIVATE & secrets.keys()
    for name in PRIVATE & secrets.keys():
        assert secrets[name] not in public.values()


def test_what_others_see_verifies(asymmetric: StoredKey) -> None:
    signed = jwt.PyJWS().encode(b"{}", asymmetric.load(), asymmetric.alg)
    assert jwt.PyJWS().decode(signed, jwt.PyJWK(asymmetric.public())) == b"{}"


def test_an_rsa_key_has_3072_bits(make_forge: Callable[..., Any]) -> None:
    assert make_forge(algorithm="RS256").stored().load().key_size == 3072


def test_a_key_survives_the_file(asymmetric: StoredKey) -> None:
    again = msgspec.json.decode(msgspec.json.encode(asymmetric), type=StoredKey)
    assert again == asymmetric
    assert again.load().public_key() == asymmetric.load().public_key()


@pytest.mark.parametrize("algorithm", [*SIZES, "RS256", "ES256", "EdDSA"])
def test_a_key_shows_nothing_of_its_secret(make_forge: Callable[..., Any], algorithm: str) -> None:
    stored = make_forge(algorithm=algorithm).stored()
    assert repr(stored) == f"StoredKey(kid={stored.kid!r}, alg={algorithm!r})"
    assert stored.__rich_repr__() == [("kid", stored.kid), ("alg", algorithm)]


@pytest.mark.parametrize(
    ("algorithm", "changes", "reason"),
    [
        ("HS256", {"k": "c2hvcnQ"}, "too short"),
        ("HS256", {"k": ""}, "must not be empty"),
        ("HS256", {"k": msgspec.UNSET}, "no private part"),
        ("HS256", {"k": msgspec.UNSET, "d": "AQ"}, "no private part"),
        ("HS512", {"k": "A" * 43}, "too short"),
        ("HS256", {"kty": "RSA"}, "no private part"),
        ("ES256", {"kty": "OKP"}, "not of the curve Ed25519"),
        ("ES256", {"alg": "RS256"}, "Not an RSA key"),
        ("ES256", {"crv": "P-384"}, "P-384"),
        ("ES256", {"d": msgspec.UNSET}, "no private part"),
        ("ES256", {"x": msgspec.UNSET}, "Elliptic curve"),
        ("ES256", {"d": "A" * 43}, "key "),
        ("EdDSA", {"crv": "Ed448"}, "not of the curve Ed25519"),
        ("EdDSA", {"x": "A" * 43}, "does not match"),
        ("EdDSA", {"d": "AQ"}, "Invalid key"),
        ("RS256", {"n": msgspec.UNSET}, "Not a public or private key"),
        ("RS256", {"p": msgspec.UNSET}, "all parameters"),
        ("RS256", {"d": "AQAB"}, "key "),
    ],
)
def test_a_key_that_cannot_sign_is_refused(
    make_forge: Callable[..., Any], algorithm: str, changes: dict[str, Any], reason: str
) -> None:
    stored = msgspec.structs.replace(make_forge(algorithm=algorithm).stored(), **changes)
    with pytest.raises(ValueError, match=reason):
        stored.load()


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [
        ("HS256", ["kty", "k"]),
        ("RS256", ["n", "e", "d", "p", "q", "dp", "dq", "qi"]),
        ("ES256", ["crv", "x", "y", "d"]),
        ("EdDSA", ["crv", "x", "d"]),
    ],
)
@settings(max_examples=50)
@given(data=st.data(), text=st.text("AQab_-0=", max_size=50) | st.text(max_size=9))
def test_a_changed_key_is_a_value_error_if_it_is_not_usable(
    algorithm: Any, members: list[str], data: st.DataObject, text: str
) -> None:
    changes = {data.draw(st.sampled_from(members)): text}
    stored = msgspec.structs.replace(make_key(algorithm, now=NOW), **changes)
    with contextlib.suppress(ValueError):
        stored.load()


def test_an_rsa_key_of_1024_bits_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(small, as_dict=True)
    stored = msgspec.convert(jwk | {"kid": "x", "alg": "RS256", "iat": 0}, StoredKey)
    with pytest.raises(ValueError, match="1024 bits"):
        stored.load()


WITHOUT_CRYPTOGRAPHY = """
import asyncio, sys
sys.modules["cryptography"] = None
from pathlib import Path
from broker import Clock, ConfigError
from broker_auth_jwt.config import AuthConfig
from broker_auth_jwt.keys import KeyRing
from broker_auth_jwt.tokens import Tokens

for algorithm in ("HS256", "HS384", "HS512"):
    config = AuthConfig(algorithm=algorithm)
    ring = KeyRing(config, Path(sys.argv[1]), clock=Clock())
    asyncio.run(ring.open())
    tokens = Tokens(config, ring, Clock())
    assert tokens.verify_access(tokens.issue_access("a", session="s", version=1)).subject == "a"
for algorithm in ("RS256", "ES256", "EdDSA"):
    ring = KeyRing(AuthConfig(algorithm=algorithm), Path(sys.argv[1]), clock=Clock())
    try:
        asyncio.run(ring.open())
    except ConfigError as error:
        print(error)
"""


def test_hmac_needs_no_cryptography_and_all_else_says_how_to_get_it(tmp_path: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_CRYPTOGRAPHY, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        f"plugins.auth_jwt.algorithm: {algorithm} needs cryptography:"
        " pip install 'replika-broker-auth-jwt[asymmetric]'"
        for algorithm in ("RS256", "ES256", "EdDSA")
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["auth-keys.json"]
