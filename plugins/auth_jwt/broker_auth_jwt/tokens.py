"""The broker's own tokens (RFC 7519): access tokens, and refresh tokens to get new ones."""

from __future__ import annotations

import secrets
from typing import Any, Literal, get_args

import msgspec
from broker import Clock, InvalidToken
from jwt import PyJWS, PyJWTError

from broker_auth_jwt.compact import decode_parts
from broker_auth_jwt.config import Algorithm, AuthConfig
from broker_auth_jwt.keys import KeyRing
from broker_auth_jwt.times import Seconds

_LONGEST = 8192

Kind = Literal["at+jwt", "rt+jwt"]
"""The `typ` of access tokens (RFC 9068) and, named after it, of refresh tokens."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says that was found valid; times are milliseconds UTC."""

    subject: str
    """The name of the user."""
    jti: str
    session: str
    """The id of the login."""
    version: int
    """The user's `token_version` when it was issued."""
    issued_at: int
    expires_at: int


class RefreshToken(msgspec.Struct, frozen=True, kw_only=True):
    """A refresh token, and what is remembered of it."""

    text: str
    jti: str
    expires_at: int
    """Milliseconds UTC."""

    def __repr__(self) -> str:
        return f"RefreshToken(jti={self.jti!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show as little as `repr` does."""
        return [("jti", self.jti)]


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that our headers have; so `crit`, `b64`, `jwk`, `jku`, `x5u` are never even looked at."""

    alg: str
    kid: str
    typ: str


class _Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    iss: str
    aud: str
    sub: str
    jti: str
    iat: Seconds
    exp: Seconds
    nbf: Seconds = 0
    sid: str
    ver: int


class Tokens:
    """Issues and verifies tokens. Whether a user or a login ended since, it does not know."""

    def __init__(self, config: AuthConfig, ring: KeyRing, clock: Clock) -> None:
        self.issuer = config.issuer
        self._audience = config.audience
        self._access_seconds = config.access_seconds
        self._refresh_seconds = config.refresh_seconds
        self._leeway_ms = config.leeway_seconds * 1000
        self._ring = ring
        self._clock = clock
        self._jws = PyJWS(
            algorithms=get_args(Algorithm),
            options={"verify_signature": True, "enforce_minimum_key_length": True},
        )
        self._headers = msgspec.json.Decoder(_Header)
        self._payloads = msgspec.json.Decoder(_Payload)

    def issue_access(self, user: str, *, session: str, version: int) -> str:
        """Return a token that lets a user in for `access_seconds`."""
        seconds = self._access_seconds
        text, _ = self._issue("at+jwt", user, session=session, version=version, seconds=seconds)
        return text

    def issue_refresh(self, user: str, *, session: str, version: int) -> RefreshToken:
        """Return a token for new tokens; that it works once is the caller's concern."""
        seconds = self._refresh_seconds
        text, payload = self._issue(
            "rt+jwt", user, session=session, version=version, seconds=seconds
        )
        return RefreshToken(text=text, jti=payload.jti, expires_at=payload.exp * 1000)

    def verify_access(self, text: str) -> Claims:
        """Return what an access token of ours says; raises InvalidToken for all else."""
        return self._verify(text, "at+jwt")

    def verify_refresh(self, text: str) -> Claims:
        """Return what a refresh token of ours says; raises InvalidToken for all else."""
        return self._verify(text, "rt+jwt")

    def _issue(
        self, kind: Kind, user: str, *, session: str, version: int, seconds: int
    ) -> tuple[str, _Payload]:
        now = self._clock.now() // 1000
        payload = _Payload(
            iss=self.issuer,
            aud=self._audience,
            sub=user,
            jti=secrets.token_urlsafe(16),
            iat=now,
            exp=now + seconds,
            sid=session,
            ver=version,
        )
        key = self._ring.signing
        headers = {"kid": key.kid, "typ": kind}
        encoded = msgspec.json.encode(payload)
        return self._jws.encode(encoded, key.private, key.algorithm, headers), payload

    def _verify(self, text: str, kind: Kind) -> Claims:
        try:
            payload = self._payloads.decode(self._signed_bytes(text, kind))
        # A payload of ours is not nested, but somebody else may know a configured secret.
        except (PyJWTError, ValueError, RecursionError) as error:
            raise InvalidToken from error
        self._check(payload)
        return Claims(
            subject=payload.sub,
            jti=payload.jti,
            session=payload.sid,
            version=payload.ver,
            issued_at=payload.iat * 1000,
            expires_at=payload.exp * 1000,
        )

    def _signed_bytes(self, text: str, kind: Kind) -> bytes:
        """Return the payload of a token if it is of that kind, and we signed it."""
        # PyJWT alone would let padding and spare bits pass: a token must have one spelling.
        encoded, _, _ = decode_parts(text, limit=_LONGEST)
        header = self._headers.decode(encoded)
        key = self._ring.find(header.kid)
        if key is None or header.typ != kind:
            raise InvalidToken
        # PyJWT compares `alg` with the one algorithm that it is given.
        payload: bytes = self._jws.decode(text, key.verifying, algorithms=[key.algorithm])
        return payload

    def _check(self, payload: _Payload) -> None:
        """Compare with our own names and our own clock: PyJWT would ask the system's."""
        if payload.iss != self.issuer or payload.aud != self._audience:
            raise InvalidToken
        now = self._clock.now()
        if now >= payload.exp * 1000 + self._leeway_ms:
            raise InvalidToken
        if now < max(payload.iat, payload.nbf) * 1000 - self._leeway_ms:
            raise InvalidToken
