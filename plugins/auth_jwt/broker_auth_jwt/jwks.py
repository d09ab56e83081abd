"""The keys that an issuer publishes, as a JSON Web Key Set (RFC 7517)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import jwt
import msgspec
from broker import InvalidToken
from jwt.api_jws import decode_complete

from broker_auth_jwt.issuer_config import ForeignAlgorithm

MAX_KEYS = 100

# By type and curve. What is not here is not used: above all `oct`, a secret that was published.
FITTING: Mapping[tuple[str, str], tuple[ForeignAlgorithm, ...]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}


class JwksError(Exception):
    """An issuer's keys could not be had; `str(error)` says why, in part of a line."""


class Jwk(msgspec.Struct, frozen=True, omit_defaults=True):
    """The public part of a key; should an issuer publish more, it is not read."""

    kty: str
    kid: str
    use: str = "sig"
    alg: str | None = None
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""


class PublishedKey(msgspec.Struct, frozen=True):
    """A key that can verify, by one algorithm only (RFC 8725, section 3.1)."""

    jwk: Jwk
    prepared: jwt.PyJWK

    def verify(self, text: str) -> bytes:
        """Return the payload of a token that this key signed; raises InvalidToken."""
        try:
            verified = decode_complete(text, self.prepared, [self.prepared.algorithm_name])
        except jwt.PyJWTError as error:
            raise InvalidToken from error
        payload: bytes = verified["payload"]
        return payload


class _JwkSet(msgspec.Struct):
    keys: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MAX_KEYS)]


def read_keys(body: bytes, *, algorithms: Sequence[ForeignAlgorithm]) -> dict[str, PublishedKey]:
    """Return the keys of a set that can verify tokens of these algorithms, by their `kid`.

    A key without `alg` is used for the first of the algorithms that fits it. Keys that cannot be
    used are left out (RFC 7517, section 5), also those without `kid`; of two with the same `kid`
    the first counts. Raises JwksError for what is no set, or has more than 100 keys.
    """
    try:
        entries = msgspec.json.decode(body, type=_JwkSet).keys
    except (ValueError, RecursionError) as error:
        raise JwksError(f"no JWK Set of at most {MAX_KEYS} keys: {error}") from error
    keys: dict[str, PublishedKey] = {}
    for key in _usable(entries, algorithms):
        keys.setdefault(key.jwk.kid, key)
    return keys


def _usable(
    entries: Sequence[msgspec.Raw], algorithms: Sequence[ForeignAlgorithm]
) -> Iterator[PublishedKey]:
    for entry in entries:
        try:
            jwk = msgspec.json.decode(entry, type=Jwk)
            algorithm = _algorithm(jwk, algorithms)
            prepared = jwt.PyJWK(msgspec.to_builtins(jwk), algorithm)
        except (ValueError, RecursionError, jwt.PyJWTError):
            continue
        if prepared.Algorithm.check_key_length(prepared.key) is None:
            yield PublishedKey(jwk, prepared)


def _algorithm(jwk: Jwk, algorithms: Sequence[ForeignAlgorithm]) -> ForeignAlgorithm:
    """Return the one algorithm that a key is used for; raises ValueError if there is none."""
    for algorithm in algorithms:
        fits = algorithm in FITTING.get((jwk.kty, jwk.crv), ())
        if fits and jwk.use == "sig" and jwk.alg in {None, algorithm}:
            return algorithm
    raise ValueError("no key for signatures of these algorithms")
