"""Logins: each is a family of refresh tokens, of which the newest alone is good, once."""

from __future__ import annotations

import secrets
from typing import Literal

import msgspec

from broker_auth_jwt.changes import count_change
from broker_auth_jwt.database import Database, Transaction

Rotation = Literal["rotated", "reused", "ended"]

MAX_OPEN = 100
"""Sessions of one user that are open at one time."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One login."""

    id: str
    user: str
    jti: str
    """That of the refresh token that is good now."""
    created_at: int
    expires_at: int
    revoked_at: int | None


def new_session_id() -> str:
    """Return an id for a session, which nobody can guess."""
    return secrets.token_urlsafe(16)


class Sessions:
    """Begins, rotates and revokes logins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, session: str, *, user: str, jti: str, now: int, expires_at: int) -> None:
        """Begin a session with a new id and the `jti` of its first refresh token.

        It ends the oldest of a user who has as many as may be open.
        """

        async def begin(tx: Transaction) -> None:
            await _make_room(tx, user, now)
            await tx.execute(
                "INSERT INTO broker_sessions VALUES (:id, :user, :jti, :now, :expires_at, NULL)",
                id=session,
                user=user,
                jti=jti,
                now=now,
                expires_at=expires_at,
            )

        await self._database.change(begin)

    async def find(self, session: str) -> Session | None:
        """Return a session, also one that has ended and was not cleaned away yet."""
        row = await self._database.fetch_one(
            "SELECT * FROM broker_sessions WHERE id = :id", id=session
        )
        if row is None:
            return None
        return Session(
            id=row["id"],
            user=row["username"],
            jti=row["jti"],
            created_at=row["created_at"],
            expires_at=row["expires_at"],
            revoked_at=row["revoked_at"],
        )

    async def count_open(self, user: str, *, now: int) -> int:
        """Return how many sessions of a user have not ended."""
        [row] = await self._database.fetch(
            "SELECT COUNT(*) AS found FROM broker_sessions"
            " WHERE username = :user AND revoked_at IS NULL AND expires_at > :now",
            user=user,
            now=now,
        )
        return int(row["found"])

    async def rotate(
        self, session: str, *, old: str, new: str, now: int, expires_at: int
    ) -> Rotation:
        """Exchange the good refresh token for a new one.

        If the token is not the good one, somebody uses one that was used already: it is known to
        two, so the session is revoked in the same step (RFC 9700, section 4.14.2).
        """

        async def rotate(tx: Transaction) -> Rotation:
            row = await tx.fetch_one(
                "SELECT jti FROM broker_sessions"
                " WHERE id = :id AND revoked_at IS NULL AND expires_at > :now",
                id=session,
                now=now,
            )
            if row is None:
                return "ended"
            if row["jti"] != old:
                await _revoke(tx, session, now)
                return "reused"
            await tx.execute(
                "UPDATE broker_sessions SET jti = :new, expires_at = :expires_at WHERE id = :id",
                id=session,
                new=new,
                expires_at=expires_at,
            )
            return "rotated"

        return await self._database.change(rotate)

    async def revoke(self, session: str, *, now: int) -> bool:
        """End a session; tell whether it was not revoked already."""

        async def revoke(tx: Transaction) -> bool:
            return await _revoke(tx, session, now)

        return await self._database.change(revoke)


async def revoke_sessions_of(tx: Transaction, user: str, now: int) -> None:
    """End all sessions of a user, as part of a change that is counted."""
    await tx.execute(
        "UPDATE broker_sessions SET revoked_at = :now"
        " WHERE username = :user AND revoked_at IS NULL",
        user=user,
        now=now,
    )


async def _make_room(tx: Transaction, user: str, now: int) -> None:
    revoked = await tx.fetch(
        "UPDATE broker_sessions SET revoked_at = :now WHERE id IN ("
        " SELECT id FROM broker_sessions"
        " WHERE username = :user AND revoked_at IS NULL AND expires_at > :now"
        " ORDER BY created_at DESC, id LIMIT 1000 OFFSET :kept) RETURNING id",
        user=user,
        now=now,
        kept=MAX_OPEN - 1,
    )
    if revoked:
        await count_change(tx)


async def _revoke(tx: Transaction, session: str, now: int) -> bool:
    revoked = await tx.fetch(
        "UPDATE broker_sessions SET revoked_at = :now"
        " WHERE id = :id AND revoked_at IS NULL RETURNING id",
        id=session,
        now=now,
    )
    if revoked:
        await count_change(tx)
    return bool(revoked)
