"""A private key as it is kept: a JSON Web Key (RFC 7517)."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from typing import Annotated, Any, Literal

import msgspec
from broker import ConfigError
from jwt import PyJWS, PyJWTError
from jwt.algorithms import Algorithm as PyJWTAlgorithm
from jwt.utils import base64url_encode

from broker_auth_jwt.config import Algorithm
from broker_auth_jwt.times import Seconds
from broker_auth_jwt.weak_secrets import HMAC_BYTES

_RSA_BITS = 3072
"""As strong as the other algorithms, 128 bits (NIST SP 800-57, part 1, table 2)."""

_PUBLIC = {"oct": (), "RSA": ("e", "n"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
"""The members by which others may know a key; those of RFC 7638, section 3.2."""

Text = str | msgspec.UnsetType


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the file, private members and all; the fields are the names of RFC 7518."""

    kty: Literal["oct", "RSA", "EC", "OKP"]
    kid: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    alg: Algorithm
    use: Literal["sig"] = "sig"
    iat: Seconds
    """When it was made."""
    exp: Seconds | msgspec.UnsetType = msgspec.UNSET
    """When the last token that it signed is over; the key that signs has none."""
    crv: Text = msgspec.UNSET
    x: Text = msgspec.UNSET
    y: Text = msgspec.UNSET
    n: Text = msgspec.UNSET
    e: Text = msgspec.UNSET
    k: Text = msgspec.UNSET
    d: Text = msgspec.UNSET
    p: Text = msgspec.UNSET
    q: Text = msgspec.UNSET
    dp: Text = msgspec.UNSET
    dq: Text = msgspec.UNSET
    qi: Text = msgspec.UNSET

    def __repr__(self) -> str:
        return f"StoredKey(kid={self.kid!r}, alg={self.alg!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show as little as `repr` does."""
        return [("kid", self.kid), ("alg", self.alg)]

    @property
    def created_at(self) -> int:
        """When it was made, in milliseconds UTC."""
        return self.iat * 1000

    @property
    def verifies_until(self) -> int | None:
        """When it is over, in milliseconds UTC; None for the key that signs."""
        return None if self.exp is msgspec.UNSET else self.exp * 1000

    def is_over(self, now: int) -> bool:
        """Tell whether no token that it signed is valid any more."""
        return self.verifies_until is not None and self.verifies_until <= now

    def ending(self, at: int) -> StoredKey:
        """Return the key as one that only verifies, until `at` (seconds) or as was said before."""
        return self if self.verifies_until is not None else msgspec.structs.replace(self, exp=at)

    def public(self) -> dict[str, str] | None:
        """Return the JWK by which others verify tokens; None for HMAC, which has no such thing."""
        if self.kty == "oct":
            return None
        named = {"kty": self.kty, "kid": self.kid, "alg": self.alg, "use": self.use}
        return named | {name: getattr(self, name) for name in _PUBLIC[self.kty]}

    def load(self) -> Any:
        """Return the key as PyJWT wants it to sign; raises ValueError if it is not usable."""
        algorithm = implementation(self.alg)
        if (self.k if self.kty == "oct" else self.d) is msgspec.UNSET:
            raise ValueError(f"key {self.kid} has no private part")
        if self.kty == "OKP" and self.crv != "Ed25519":
            # PyJWT takes Ed448 for EdDSA, too.
            raise ValueError(f"key {self.kid} is not of the curve Ed25519")
        try:
            key = algorithm.prepare_key(algorithm.from_jwk(msgspec.to_builtins(self)))
        except (PyJWTError, ValueError) as error:
            raise ValueError(f"key {self.kid} is not usable: {error}") from error
        if weakness := algorithm.check_key_length(key):
            raise ValueError(f"key {self.kid} is too short: {weakness}")
        return key


def generate(algorithm: Algorithm, *, now: int) -> StoredKey:
    """Make a new key; raises ConfigError if that needs what is not installed."""
    if algorithm in HMAC_BYTES:
        secret = base64url_encode(os.urandom(HMAC_BYTES[algorithm])).decode()
        kid = secrets.token_urlsafe(16)
        return StoredKey(kty="oct", kid=kid, alg=algorithm, iat=now // 1000, k=secret)
    jwk = implementation(algorithm).to_jwk(_new_private_key(algorithm), as_dict=True)
    named = {"kid": thumbprint(jwk), "alg": algorithm, "iat": now // 1000}
    return msgspec.convert(jwk | named, StoredKey)


def implementation(algorithm: Algorithm) -> PyJWTAlgorithm:
    """Return what PyJWT signs and verifies with; raises ConfigError if it lacks cryptography."""
    try:
        return PyJWS().get_algorithm_by_name(algorithm)
    except NotImplementedError as error:
        raise ConfigError(
            f"plugins.auth_jwt.algorithm: {algorithm} needs cryptography:"
            " pip install 'replika-broker-auth-jwt[asymmetric]'"
        ) from error


def _new_private_key(algorithm: Algorithm) -> Any:
    from cryptography.hazmat.primitives.asymmetric import (  # an extra
        ec,
        ed25519,
        rsa,
    )

    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def thumbprint(jwk: dict[str, Any]) -> str:
    """Return the SHA-256 thumbprint of a key (RFC 7638)."""
    required = {name: jwk[name] for name in ("kty", *_PUBLIC[jwk["kty"]])}
    text = json.dumps(required, sort_keys=True, separators=(",", ":"))
    return base64url_encode(hashlib.sha256(text.encode()).digest()).decode()
