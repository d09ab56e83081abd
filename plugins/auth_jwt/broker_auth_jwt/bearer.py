"""Bearer tokens: what one stands for now."""

from __future__ import annotations

from broker import Clock, InvalidToken

from broker_auth_jwt.accounts import Accounts
from broker_auth_jwt.compact import read_unverified
from broker_auth_jwt.issuers import Issuers
from broker_auth_jwt.keys import KeyRing
from broker_auth_jwt.scopes import Roles
from broker_auth_jwt.service_tokens import read_service_token
from broker_auth_jwt.tokens import Tokens
from broker_auth_jwt.verified import RefusedTokens, Verified, VerifiedTokens

_DOTS = 2
"""How many a JWT has; a text without them belongs to somebody else."""


class BearerTokens:
    """Tells a user's token, a service's, and one of an issuer that is trusted.

    What a token proves is remembered. Whether it still counts is asked at every request: whether
    anything was changed about users and tokens since, and whether the issuer still has the key.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        keys: KeyRing,
        tokens: Tokens,
        issuers: Issuers,
        roles: Roles,
        clock: Clock,
        leeway_ms: int,
    ) -> None:
        self._accounts = accounts
        self._keys = keys
        self._tokens = tokens
        self._issuers = issuers
        self._roles = roles
        self._clock = clock
        self._leeway_ms = leeway_ms
        self._known = VerifiedTokens()
        self._refused = RefusedTokens()
        self._changes = -1
        """The state of users and tokens for which the remembered ones hold."""
        self._uses: dict[str, int] = {}

    async def verify(self, token: str) -> Verified | None:
        """Return what a token stands for now, None if it is of a kind that is not known here.

        Raises InvalidToken, and Unavailable if that cannot be told.
        """
        changes = await self._accounts.changes.current()
        if changes != self._changes:
            await self._keys.refresh()
            self._known.forget()
            self._refused.forget()
            self._changes = changes
        verified = self._known.find(token, now=self._clock.now())
        if verified is None or not self._is_current(verified):
            verified = await self._look_up(token)
            # Something may have changed while it was looked up.
            if verified is not None and changes == self._changes:
                self._known.remember(token, verified)
        if verified is not None and verified.service_token is not None:
            self._uses[verified.service_token] = self._clock.now()
        return verified

    def _is_current(self, verified: Verified) -> bool:
        return verified.foreign is None or self._issuers.is_current(verified.foreign)

    async def note_uses(self) -> None:
        """Write down when service tokens were used; raises Unavailable, and keeps it then."""
        uses, self._uses = self._uses, {}
        try:
            await self._accounts.service_tokens.note_used(uses)
        except BaseException:
            self._uses = uses | self._uses
            raise

    async def _look_up(self, token: str) -> Verified | None:
        if (service := read_service_token(token)) is not None:
            return await self._service(token, *service)
        if token.count(".") != _DOTS:
            return None
        issuer = read_unverified(token).issuer
        if issuer == self._tokens.issuer:
            return await self._user(token)
        if self._issuers.serves(issuer):
            return await self._foreign(token)
        return None

    async def _user(self, token: str) -> Verified:
        claims = self._tokens.verify_access(token)
        user = await self._accounts.users.find(claims.subject)
        if user is None or user.disabled or user.token_version != claims.version:
            raise InvalidToken
        session = await self._accounts.sessions.find(claims.session)
        if session is None or session.user != user.name or session.revoked_at is not None:
            raise InvalidToken
        return Verified(
            subject=user.name,
            scopes=self._roles.scopes_of(user.grants),
            expires_at=claims.expires_at,
            ends_at=claims.expires_at + self._leeway_ms,
            session=session.id,
        )

    async def _service(self, token: str, token_id: str, secret: str) -> Verified:
        now = self._clock.now()
        if self._refused.has(token, now=now):
            raise InvalidToken
        found = await self._accounts.service_tokens.find(token_id)
        if found is None or not found.matches(secret) or not found.is_valid(now=now):
            self._refused.remember(token, now=now)
            raise InvalidToken
        return Verified(
            subject=f"token:{found.name}",
            scopes=self._roles.scopes_of(found.grants),
            expires_at=found.expires_at,
            ends_at=found.expires_at,
            service_token=found.id,
        )

    async def _foreign(self, token: str) -> Verified:
        verified = await self._issuers.verify(token)
        return Verified(
            subject=verified.subject,
            scopes=verified.scopes,
            expires_at=verified.expires_at,
            ends_at=verified.expires_at + self._leeway_ms,
            foreign=verified,
        )
