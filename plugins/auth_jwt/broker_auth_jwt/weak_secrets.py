"""Secrets that are too easy to guess to sign tokens with."""

from __future__ import annotations

from collections.abc import Mapping

HMAC_BYTES: Mapping[str, int] = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The least size of a key for each HMAC algorithm: that of its hash (RFC 7518, section 3.2)."""

_LEAST_CHARACTERS = 8
"""A random secret of 32 bytes has more different characters than that, also in hexadecimal."""

_EXAMPLES = (
    "changeme",
    "changethis",
    "changeit",
    "replaceme",
    "yoursecret",
    "yourjwtsecret",
    "your256bit",
    "your384bit",
    "your512bit",
    "mysecret",
    "supersecret",
    "topsecret",
    "secretkey",
    "jwtsecret",
    "defaultsecret",
    "examplesecret",
    "testsecret",
    "notsosecret",
    "notasecret",
    "donotuse",
    "insecure",
    "password",
    "abcdefgh",
    "123456789",
    "qwertyui",
    # Of the pages and manuals from which secrets are copied: jwt.io, FastAPI, Flask, Spring,
    # RFC 7515 and RFC 7520.
    "atleast256bits",
    "atleast384bits",
    "atleast512bits",
    "09d25e094faa6ca2556c818166b7a956",
    "192b9bdd22ab9ed4d12e236c78afcb9a",
    "404e635266556a586e3272357538782f",
    "aym1sysppbydfgzld3umj1qzkobwvmkoq",
    "hjtxiz2usn5kbqfbttnwbpdmhkv8fjg",
)
"""What a secret never holds unless it was copied or meant to be replaced: letters and digits."""


def weakness_of(secret: str, algorithm: str) -> str | None:
    """Return what is wrong with a secret for an HMAC algorithm, and the remedy; None if nothing.

    The secret itself is never part of the text.
    """
    least = HMAC_BYTES[algorithm]
    reason = _reason(secret, least, algorithm)
    return None if reason is None else f"{reason}; make one: openssl rand -hex {least}"


def _reason(secret: str, least: int, algorithm: str) -> str | None:
    key = secret.encode(errors="surrogateescape")
    if len(key) < least:
        return f"has {len(key)} bytes, and {algorithm} needs at least {least}"
    plain = "".join(filter(str.isalnum, secret)).lower()
    if any(example in plain for example in _EXAMPLES):
        return "is an example or a default, which everybody knows"
    if len(set(secret)) < _LEAST_CHARACTERS or _repeats(secret):
        return "repeats itself, so it is easy to guess"
    return _other_kind(key)


def _other_kind(key: bytes) -> str | None:
    from jwt import InvalidKeyError
    from jwt.algorithms import HMACAlgorithm

    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(key)
    except InvalidKeyError:
        return "is a key or a certificate of another kind (PEM, SSH, DER, JWK)"
    return None


def _repeats(text: str) -> bool:
    """Tell whether a text is a shorter one, written twice or more often; the last may be cut."""
    return any(text.startswith(text[period:]) for period in range(1, len(text) // 2 + 1))
