"""Tokens of programs: shown once, kept as a digest, valid until they expire or are revoked."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping

import msgspec

from broker_auth_jwt.changes import count_change
from broker_auth_jwt.database import Database, Hidden, Row, Transaction
from broker_auth_jwt.users import check_name, join_grants, split_grants

_TOKEN = re.compile(r"rbt_([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{43})\Z")


class ServiceToken(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token; its secret is not."""

    id: str
    name: str
    digest: str
    """SHA-256 of the secret in hexadecimal; of 256 random bits, so it needs no slow hash."""
    grants: frozenset[str]
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None

    def is_valid(self, *, now: int) -> bool:
        """Tell whether it was not revoked and has not expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def matches(self, secret: str) -> bool:
        """Tell whether this is the secret, in the same time whatever it is."""
        return hmac.compare_digest(self.digest, _digest(secret))


def read_service_token(text: str) -> tuple[str, str] | None:
    """Return the id and the secret in a text `rbt_<id>.<secret>`, None for anything else."""
    match = _TOKEN.match(text)
    return None if match is None else (match[1], match[2])


class ServiceTokens:
    """Makes, finds and revokes tokens of programs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, name: str, *, grants: Iterable[str], now: int, expires_at: int | None = None
    ) -> tuple[ServiceToken, str]:
        """Return a new token, and its text, which nobody can ever find out again.

        Tokens may have the same name, so that one can follow another. Raises Invalid for a name
        that no user may have either.
        """
        check_name(name)
        # Not all of the alphabet at the beginning: an id is an argument of the command line.
        token_id, secret = "t" + secrets.token_urlsafe(12)[1:], secrets.token_urlsafe(32)

        async def create(tx: Transaction) -> ServiceToken:
            [row] = await tx.fetch(
                "INSERT INTO broker_service_tokens"
                " VALUES (:id, :name, :digest, :grants, :now, :expires_at, NULL, NULL) RETURNING *",
                id=token_id,
                name=name,
                digest=Hidden(_digest(secret)),
                grants=join_grants(grants),
                now=now,
                expires_at=expires_at,
            )
            return _service_token(row)

        return await self._database.change(create), f"rbt_{token_id}.{secret}"

    async def find(self, token_id: str) -> ServiceToken | None:
        """Return a token, also one that has expired or was revoked."""
        row = await self._database.fetch_one(
            "SELECT * FROM broker_service_tokens WHERE id = :id", id=token_id
        )
        return None if row is None else _service_token(row)

    async def list(self) -> list[ServiceToken]:
        """Return all tokens, the oldest first."""
        rows = await self._database.fetch("SELECT * FROM broker_service_tokens")
        tokens = [_service_token(row) for row in rows]
        return sorted(tokens, key=lambda token: (token.created_at, token.id))

    async def revoke(self, token_id: str, *, now: int) -> bool:
        """End a token; tell whether it was not revoked already."""

        async def revoke(tx: Transaction) -> bool:
            revoked = await tx.fetch(
                "UPDATE broker_service_tokens SET revoked_at = :now"
                " WHERE id = :id AND revoked_at IS NULL RETURNING id",
                id=token_id,
                now=now,
            )
            if revoked:
                await count_change(tx)
            return bool(revoked)

        return await self._database.change(revoke)

    async def note_used(self, used: Mapping[str, int]) -> None:
        """Remember when tokens were last used, by id; an earlier time than is known is not."""

        async def note(tx: Transaction) -> None:
            for token_id, at in used.items():
                await tx.execute(
                    "UPDATE broker_service_tokens SET last_used_at = :at"
                    " WHERE id = :id AND (last_used_at IS NULL OR last_used_at < :at)",
                    id=token_id,
                    at=at,
                )

        if used:
            await self._database.change(note)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _service_token(row: Row) -> ServiceToken:
    return ServiceToken(
        id=row["id"],
        name=row["name"],
        digest=row["digest"],
        grants=split_grants(row["grants"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
