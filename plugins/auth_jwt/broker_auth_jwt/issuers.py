"""Tokens that others issued: Keycloak, Auth0, Entra, Okta, or whoever publishes a JWK Set."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated

import msgspec
from broker import Clock, ConfigError, InvalidToken
from jwt.algorithms import has_crypto

from broker_auth_jwt.claim_values import claim_values
from broker_auth_jwt.compact import Header, media_type, read_unverified
from broker_auth_jwt.issuer_config import IssuerConfig
from broker_auth_jwt.issuer_keys import IssuerKeys
from broker_auth_jwt.jwks import Jwk
from broker_auth_jwt.scopes import Roles
from broker_auth_jwt.times import END_OF_TIME

MAX_SUBJECT = 255
"""In characters (OpenID Connect Core 1.0, section 2)."""

NumericDate = Annotated[float, msgspec.Meta(ge=0, le=END_OF_TIME)]


class ForeignToken(msgspec.Struct, frozen=True, kw_only=True):
    """Who a token was issued for, and what it gives here."""

    subject: str
    """The configured name of the issuer, a colon, and its `sub`."""
    scopes: frozenset[str]
    expires_at: int
    """Its `exp`, in milliseconds UTC; it is accepted for the leeway longer."""
    issuer: str
    jwk: Jwk
    """The key that it was verified with; see `Issuers.is_current`."""


class _Claims(msgspec.Struct):
    """What every token must have. Not `jti`: Entra's have none."""

    iss: str
    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SUBJECT)]
    aud: str | list[str]
    exp: NumericDate
    iat: NumericDate
    nbf: NumericDate = 0


class Issuers:
    """The issuers that are trusted beside the broker itself."""

    def __init__(
        self,
        configs: Sequence[IssuerConfig],
        *,
        roles: Roles,
        leeway_ms: int,
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        self._issuers = {
            config.issuer: _Issuer(
                config,
                keys=IssuerKeys(config, clock=clock, logger=logger),
                roles=roles,
                leeway_ms=leeway_ms,
                clock=clock,
            )
            for config in configs
        }

    async def open(self) -> None:
        """Begin to fetch the keys of all; raises ConfigError if they could not be used."""
        if self._issuers and not has_crypto:
            raise ConfigError(
                "plugins.auth_jwt.issuers: verifying their tokens takes the package cryptography; "
                "pip install 'replika-broker-auth-jwt[asymmetric]'"
            )
        for issuer in self._issuers.values():
            issuer.keys.open()

    async def close(self) -> None:
        """Stop fetching."""
        for issuer in self._issuers.values():
            await issuer.keys.close()

    def serves(self, iss: str) -> bool:
        """Tell whether tokens of an issuer, by its `iss`, are to be verified here."""
        return iss in self._issuers

    async def verify(self, text: str) -> ForeignToken:
        """Return whom a token stands for.

        Only the first token after the start, and one whose key is unknown, may have to wait: for
        the issuer that it names, for 5 seconds at most. Raises InvalidToken, and Unavailable
        while the keys of the issuer are not known.
        """
        token = read_unverified(text)
        issuer = self._issuers.get(token.issuer)
        if issuer is None:
            raise InvalidToken
        return await issuer.verify(text, token.header)

    def is_current(self, verified: ForeignToken) -> bool:
        """Tell whether the key that verified a token is still published by its issuer.

        Ask before each use of a token that was remembered; it costs a look into a dict.
        """
        issuer = self._issuers.get(verified.issuer)
        return issuer is not None and issuer.keys.has(verified.jwk)


class _Issuer:
    def __init__(
        self, config: IssuerConfig, *, keys: IssuerKeys, roles: Roles, leeway_ms: int, clock: Clock
    ) -> None:
        self.keys = keys
        self._config = config
        self._scopes = {value: roles.scopes_of(grants) for value, grants in config.grants.items()}
        self._leeway_ms = leeway_ms
        self._clock = clock

    async def verify(self, text: str, header: Header) -> ForeignToken:
        if not self._takes(header):
            raise InvalidToken
        key = await self.keys.find(header.kid)
        payload = key.verify(text)
        try:
            everything = msgspec.json.decode(payload, type=dict)
            claims = msgspec.convert(everything, _Claims)
        except (ValueError, RecursionError) as error:
            raise InvalidToken from error
        if not self._accepts(claims):
            raise InvalidToken
        values = {v for path in self._config.claims for v in claim_values(everything, path)}
        return ForeignToken(
            subject=f"{self._config.name}:{claims.sub}",
            scopes=frozenset().union(*(self._scopes.get(value, ()) for value in values)),
            expires_at=_milliseconds(claims.exp),
            issuer=claims.iss,
            jwk=key.jwk,
        )

    def _takes(self, header: Header) -> bool:
        return (
            header.is_plain
            and header.alg in self._config.algorithms
            and media_type(header.typ) in self._config.types
        )

    def _accepts(self, claims: _Claims) -> bool:
        now, leeway = self._clock.now(), self._leeway_ms
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        return (
            claims.iss == self._config.issuer
            and self._config.audience in audiences
            and claims.sub.isprintable()
            and now < _milliseconds(claims.exp) + leeway
            and max(_milliseconds(claims.iat), _milliseconds(claims.nbf)) <= now + leeway
        )


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
