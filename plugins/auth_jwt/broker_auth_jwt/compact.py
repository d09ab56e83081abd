"""What a token says of itself before anybody has verified it (RFC 7515, section 3.1)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec
from broker import InvalidToken
from msgspec import UNSET

MAX_TOKEN_BYTES = 16_384


class Header(msgspec.Struct, frozen=True):
    """The header of a token: which key it names, and what would have it treated otherwise."""

    alg: str
    kid: str
    typ: str = "JWT"
    crit: Any = UNSET
    jku: Any = UNSET
    jwk: Any = UNSET
    x5u: Any = UNSET

    @property
    def is_plain(self) -> bool:
        """Whether it demands no extension and brings no key, nor a place to fetch one from."""
        return self.crit is self.jku is self.jwk is self.x5u is UNSET


class Unverified(msgspec.Struct, frozen=True):
    """As much as finding the key takes; anybody could have written it."""

    header: Header
    issuer: str


class _Claims(msgspec.Struct):
    iss: str


def decode_parts(text: str, *, limit: int = MAX_TOKEN_BYTES) -> tuple[bytes, bytes, bytes]:
    """Return header, payload and signature of a token; verify nothing.

    Raises InvalidToken for what is no JWS in compact form, is longer than the limit, or encodes a
    part otherwise than base64url does, so that a token has one text only.
    """
    if len(text) > limit:
        raise InvalidToken
    try:
        header, payload, signature = map(_decode, text.split("."))
    except ValueError as error:
        raise InvalidToken from error
    return header, payload, signature


def read_unverified(text: str) -> Unverified:
    """Read which issuer and which key a token names; raises InvalidToken as `decode_parts` does."""
    header, payload, _ = decode_parts(text)
    try:
        return Unverified(
            msgspec.json.decode(header, type=Header),
            msgspec.json.decode(payload, type=_Claims).iss,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidToken from error


def media_type(typ: str) -> str:
    """Return a `typ` in lower case and in its short form (RFC 7515, section 4.1.9)."""
    return typ.lower().removeprefix("application/")


def _decode(part: str) -> bytes:
    written = part.encode("ascii")
    decoded = urlsafe_b64decode(written + b"=" * (-len(written) % 4))
    if urlsafe_b64encode(decoded).rstrip(b"=") != written:
        raise ValueError("not in the one form of base64url")
    return decoded
