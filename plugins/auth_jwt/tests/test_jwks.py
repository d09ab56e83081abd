import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from foreign_issuer import Signer
from jwt.algorithms import RSAAlgorithm

from broker import InvalidToken
from broker_auth_jwt.jwks import FITTING, JwksError, read_keys

ALL = tuple(algorithm for fitting in FITTING.values() for algorithm in fitting)
USUAL = ("RS256", "ES256", "EdDSA")


def read(*jwks, algorithms=USUAL):
    return read_keys(json.dumps({"keys": jwks}).encode(), algorithms=algorithms)


@pytest.mark.parametrize("algorithm", ALL)
def test_a_key_verifies_what_was_signed_with_it(algorithm):
    signer = Signer("k1", algorithm)
    key = read(signer.jwk(), algorithms=ALL)["k1"]
    assert json.loads(key.verify(signer.sign({"sub": "ann"}))) == {"sub": "ann"}
    with pytest.raises(InvalidToken):
        key.verify(Signer("k1", algorithm, material="another").sign({"sub": "ann"}))


@pytest.mark.parametrize(
    ("allowed", "chosen"),
    [
        (USUAL, "RS256"),  # as Entra's, which do not say their algorithm
        (("PS256", "RS256"), "PS256"),
        (("ES256", "RS512"), "RS512"),
    ],
)
def test_a_key_without_an_algorithm_gets_the_first_that_fits(allowed, chosen):
    key = read(Signer("k1").jwk(alg=None), algorithms=allowed)["k1"]
    assert key.prepared.algorithm_name == chosen


def test_a_key_verifies_by_one_algorithm_only():
    signer = Signer("k1", "RS256")
    key = read(signer.jwk(alg=None), algorithms=("RS256", "PS256"))["k1"]
    with pytest.raises(InvalidToken):
        key.verify(signer.sign({"sub": "ann"}, algorithm="PS256"))


def test_a_key_may_keep_silent_about_its_use():
    assert set(read(Signer("k1").jwk(use=None))) == {"k1"}


def short_rsa_key():
    private = rsa.generate_private_key(public_exponent=65_537, key_size=1024)
    return {**RSAAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": "bad"}


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "kid": "bad", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXM"},
        {"kty": "oct", "kid": "bad", "k": "c2VjcmV0", "alg": "RS256"},
        {"kty": "what", "kid": "bad"},
        {"kid": "bad"},
        Signer("bad").jwk(use="enc"),
        Signer("bad").jwk(kid=None),
        Signer("bad").jwk(kid=7),
        Signer("bad").jwk(alg="HS256"),
        Signer("bad").jwk(alg="none"),
        Signer("bad").jwk(alg="RSA-OAEP"),
        Signer("bad").jwk(alg="PS256"),  # an algorithm that is not allowed here
        Signer("bad", "ES384").jwk(alg="ES256"),  # another curve's
        Signer("bad", "ES384").jwk(alg=None),
        Signer("bad", "ES256").jwk(alg="EdDSA"),
        Signer("bad", "ES256").jwk(crv=None),
        Signer("bad", "ES256").jwk(x="AAAA"),  # no point of the curve
        Signer("bad", "ES256").jwk(y=None),
        Signer("bad", "EdDSA").jwk(crv="Ed448"),
        Signer("bad", "EdDSA").jwk(x="AAAA"),
        Signer("bad").jwk(n=None),
        Signer("bad").jwk(n=""),
        Signer("bad").jwk(n="AA"),
        Signer("bad").jwk(n="not base64!"),
        Signer("bad").jwk(n="\u00e9"),
        Signer("bad").jwk(n=5),
        Signer("bad").jwk(e="AA"),
        Signer("bad").jwk(e=None),
        short_rsa_key(),
        [],
        None,
        "k1",
    ],
)
def test_a_key_that_cannot_be_used_is_left_out(jwk):
    assert set(read(jwk, Signer("good", "ES256").jwk(), jwk)) == {"good"}


def test_of_two_keys_with_one_kid_the_first_counts():
    keys = read(Signer("k1", "ES256").jwk(), Signer("k1", "RS256").jwk())
    assert keys["k1"].prepared.algorithm_name == "ES256"


def test_the_private_part_of_a_key_that_was_published_by_mistake_is_not_read():
    signer = Signer("k1", "ES256")
    private = signer.private.private_numbers().private_value
    published = signer.jwk(d="c2VjcmV0" * 5 + "c2U")
    key = read(published)["k1"]
    assert published["d"] not in repr(key.jwk)
    assert str(private) not in repr(key.jwk)
    assert not hasattr(key.prepared.key, "private_numbers")


def test_a_set_has_a_hundred_keys_at_most():
    jwk = Signer("k1", "ES256").jwk()
    assert len(read(*[{**jwk, "kid": str(number)} for number in range(100)])) == 100
    with pytest.raises(JwksError, match="at most 100 keys"):
        read(*[jwk] * 101)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": null}',
        b'{"keys": {}}',
        b'{"keys": [] ',
        b'{"keys": [], "deep": ' + b"[" * 100_000,
        b'{"keys": [' + b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_set_is_an_error(body):
    with pytest.raises(JwksError, match=r"^no JWK Set of at most 100 keys: "):
        read_keys(body, algorithms=USUAL)


def test_an_empty_set_has_no_keys():
    assert read() == {}
