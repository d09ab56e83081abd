"""Logging in, staying logged in, logging out."""

from __future__ import annotations

import msgspec
from broker import Clock, InvalidToken, Meter, RateLimited, Unauthenticated, Unavailable

from broker_auth_jwt.accounts import Accounts
from broker_auth_jwt.attempts import Attempt, StillLimited
from broker_auth_jwt.audit import Audit
from broker_auth_jwt.keys import KeyRing
from broker_auth_jwt.passwords import Passwords
from broker_auth_jwt.sessions import new_session_id
from broker_auth_jwt.tokens import Tokens
from broker_auth_jwt.users import User


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """What a login gives (RFC 6749, section 5.1)."""

    access_token: str
    """What to show with each request."""
    refresh_token: str
    """What POST /refresh takes, once."""
    token_type: str = "bearer"  # noqa: S105  # the name of a kind, no secret
    """How it is shown: `Authorization: Bearer`."""
    expires_in: int
    """Seconds until the access token ends."""


class Logins:
    """Issues pairs of tokens for a password, or for a refresh token that was not used before."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        keys: KeyRing,
        passwords: Passwords,
        tokens: Tokens,
        audit: Audit,
        clock: Clock,
        meter: Meter,
        access_seconds: int,
    ) -> None:
        self._accounts = accounts
        self._keys = keys
        self._passwords = passwords
        self._tokens = tokens
        self._audit = audit
        self._clock = clock
        self._access_seconds = access_seconds
        self._logins = meter.counter(
            "logins",
            "Logins with a password, by what came of them: ok, failed, or limited, which are those "
            "that came after too many failures.",
            labels=("outcome",),
        )
        for outcome in ("ok", "failed", "limited"):
            self._logins.add(0, outcome)  # or nobody would see the first of a kind

    async def log_in(self, username: str, password: str, *, peer: str) -> Pair:
        """Begin a session; raises Unauthenticated, and RateLimited after too many failures.

        An unknown user, a wrong password and a disabled user are told apart by nobody: the answer
        and the work are the same.
        """
        attempt = await self._begin_attempt(username, peer)
        user = await self._accounts.users.find(username)
        password_hash = None if user is None else user.password_hash
        try:
            verdict = await self._passwords.verify(password, password_hash)
        except Unavailable:
            await self._accounts.attempts.withdraw(attempt)
            raise
        if user is None or not verdict or user.disabled:
            self._logins.add(1, "failed")
            self._audit.record("login.failed", subject=_told(user), peer=peer)
            raise Unauthenticated("wrong user name or password")
        await self._accounts.attempts.succeeded(attempt)
        if verdict.new_hash is not None:
            await self._accounts.users.rehash(
                username, old=user.password_hash, new=verdict.new_hash
            )
        pair = await self._begin_session(user)
        self._logins.add(1, "ok")
        self._audit.record("login.ok", subject=username, peer=peer)
        return pair

    async def refresh(self, refresh_token: str, *, peer: str) -> Pair:
        """Exchange a refresh token, once; raises InvalidToken.

        One that was exchanged before was stolen, or the new one was: the whole session ends
        (RFC 9700, section 4.14.2).
        """
        await self._keys.refresh()
        claims = self._tokens.verify_refresh(refresh_token)
        user = await self._accounts.users.find(claims.subject)
        if user is None or user.disabled or user.token_version != claims.version:
            raise InvalidToken
        new = self._tokens.issue_refresh(user.name, session=claims.session, version=claims.version)
        outcome = await self._accounts.sessions.rotate(
            claims.session,
            old=claims.jti,
            new=new.jti,
            now=self._clock.now(),
            expires_at=new.expires_at,
        )
        if outcome == "reused":
            self._audit.record(
                "refresh.reused", subject=user.name, peer=peer, session=claims.session
            )
        if outcome != "rotated":
            raise InvalidToken
        return self._pair(user, claims.session, new.text)

    async def log_out(self, session: str, *, subject: str, peer: str) -> None:
        """End a session: no token of it is accepted any more."""
        await self._accounts.sessions.revoke(session, now=self._clock.now())
        self._audit.record("logout", subject=subject, peer=peer, session=session)

    async def _begin_attempt(self, username: str, peer: str) -> Attempt:
        try:
            return await self._accounts.attempts.begin(username, peer, now=self._clock.now())
        except StillLimited:
            self._logins.add(1, "limited")
            raise
        except RateLimited:
            self._logins.add(1, "limited")
            user = await self._accounts.users.find(username)
            self._audit.record("login.limited", subject=_told(user), peer=peer)
            raise

    async def _begin_session(self, user: User) -> Pair:
        await self._keys.refresh()
        session = new_session_id()
        refresh = self._tokens.issue_refresh(user.name, session=session, version=user.token_version)
        await self._accounts.sessions.begin(
            session,
            user=user.name,
            jti=refresh.jti,
            now=self._clock.now(),
            expires_at=refresh.expires_at,
        )
        return self._pair(user, session, refresh.text)

    def _pair(self, user: User, session: str, refresh_token: str) -> Pair:
        access = self._tokens.issue_access(user.name, session=session, version=user.token_version)
        return Pair(
            access_token=access, refresh_token=refresh_token, expires_in=self._access_seconds
        )


def _told(user: User | None) -> str:
    """Return whom the audit log names: only who is there, for people type passwords as names."""
    return "(unknown user)" if user is None else user.name
