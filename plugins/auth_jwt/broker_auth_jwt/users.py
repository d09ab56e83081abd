"""People and programs that log in with a password."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from broker import BrokerError, FieldError, Invalid

from broker_auth_jwt.changes import count_change
from broker_auth_jwt.database import Database, Hidden, Row, Transaction
from broker_auth_jwt.scopes import ADMIN, Roles
from broker_auth_jwt.sessions import revoke_sessions_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}\Z")


class UserNotFound(BrokerError):
    """There is no user of that name."""

    code, title, status, exit_code = "user-not-found", "User not found", 404, 3

    def __init__(self, name: str) -> None:
        super().__init__(f'there is no user "{name}"')


class UserExists(BrokerError):
    """A user of that name is there already."""

    code, title, status = "user-exists", "User exists", 409

    def __init__(self, name: str) -> None:
        super().__init__(f'there is a user "{name}" already')


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Who may log in, and what is granted to them: names of roles, and scopes."""

    name: str
    password_hash: str
    grants: frozenset[str]
    disabled: bool
    token_version: int
    """Stands in the tokens of the user; only those with the present one are valid."""
    created_at: int
    changed_at: int

    def __repr__(self) -> str:
        return (
            f"User(name={self.name!r}, grants={sorted(self.grants)}, disabled={self.disabled},"
            f" token_version={self.token_version})"
        )


def admins(users: Iterable[User], roles: Roles) -> set[str]:
    """Return the names of those who can log in and may do everything."""
    return {
        user.name for user in users if not user.disabled and ADMIN in roles.scopes_of(user.grants)
    }


def is_name(text: str) -> bool:
    """Tell whether a user, or a service token, may have this name."""
    return _NAME.match(text) is not None


def check_name(text: str) -> None:
    """Raise Invalid for what is no name of a user or a service token."""
    if not is_name(text):
        message = (
            "expected 1 to 128 letters of ASCII, digits and . _ @ + -, beginning with a letter or"
            " a digit"
        )
        raise Invalid([FieldError("name", message, text)])


class Users:
    """Each change that takes something away ends what was given by it: see Changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, *, password_hash: str, grants: Iterable[str], now: int) -> User:
        """Add a user; raises UserExists, or Invalid for a name that nobody may have."""
        check_name(name)

        async def add(tx: Transaction) -> User:
            user = await _insert(tx, name, password_hash, grants, now)
            if user is None:
                raise UserExists(name)
            return user

        return await self._database.change(add)

    async def make_first(
        self, name: str, *, password_hash: str, grants: Iterable[str], now: int
    ) -> bool:
        """Add a user if there is none at all, and tell whether; one of two brokers succeeds."""
        check_name(name)

        async def make(tx: Transaction) -> bool:
            if await tx.fetch("SELECT 1 AS found FROM broker_users LIMIT 1"):
                return False
            return await _insert(tx, name, password_hash, grants, now) is not None

        return await self._database.change(make)

    async def find(self, name: str) -> User | None:
        """Return the user of that name, whatever the text is."""
        if not is_name(name):
            return None
        row = await self._database.fetch_one(
            "SELECT * FROM broker_users WHERE name = :name", name=name
        )
        return None if row is None else _user(row)

    async def list(self) -> list[User]:
        """Return all users, by name."""
        users = [_user(row) for row in await self._database.fetch("SELECT * FROM broker_users")]
        return sorted(users, key=lambda user: user.name)  # engines sort texts in different ways

    async def is_empty(self) -> bool:
        """Tell whether there is no user at all."""
        return not await self._database.fetch("SELECT 1 AS found FROM broker_users LIMIT 1")

    async def set_password(self, name: str, password_hash: str, *, now: int) -> User:
        """Change the password, which ends every login; raises UserNotFound."""
        return await self._set(
            name,
            "password_hash = :hash, token_version = token_version + 1",
            now=now,
            is_end=True,
            hash=Hidden(password_hash),
        )

    async def rehash(self, name: str, *, old: str, new: str) -> None:
        """Keep another hash of the same password, if nobody changed that meanwhile."""

        async def rehash(tx: Transaction) -> None:
            await tx.execute(
                "UPDATE broker_users SET password_hash = :new"
                " WHERE name = :name AND password_hash = :old",
                name=name,
                old=Hidden(old),
                new=Hidden(new),
            )

        await self._database.change(rehash)

    async def set_disabled(self, name: str, disabled: bool, *, now: int) -> User:  # noqa: FBT001  # reads as a statement: set_disabled("ann", True)
        """Let a user log in or not; disabling ends every login. Raises UserNotFound."""
        assignment = "disabled = 0"
        if disabled:
            assignment = "disabled = 1, token_version = token_version + 1"
        return await self._set(name, assignment, now=now, is_end=disabled)

    async def grant(self, name: str, grants: Iterable[str], *, now: int) -> User:
        """Grant roles and scopes to a user; raises UserNotFound."""
        return await self._change_grants(name, now, add=frozenset(grants))

    async def revoke(self, name: str, grants: Iterable[str], *, now: int) -> User:
        """Take roles and scopes from a user; raises UserNotFound."""
        return await self._change_grants(name, now, remove=frozenset(grants))

    async def _change_grants(
        self,
        name: str,
        now: int,
        *,
        add: frozenset[str] = frozenset(),
        remove: frozenset[str] = frozenset(),
    ) -> User:
        async def change(tx: Transaction) -> User:
            row = await tx.fetch_one("SELECT * FROM broker_users WHERE name = :name", name=name)
            if row is None:
                raise UserNotFound(name)
            grants = join_grants((split_grants(row["grants"]) | add) - remove)
            return await _update(tx, name, "grants = :grants", now, grants=grants)

        return await self._database.change(change)

    async def _set(
        self, name: str, assignment: str, *, now: int, is_end: bool, **values: object
    ) -> User:
        async def change(tx: Transaction) -> User:
            user = await _update(tx, name, assignment, now, **values)
            if is_end:
                await revoke_sessions_of(tx, name, now)
            return user

        return await self._database.change(change)


def split_grants(text: str) -> frozenset[str]:
    """Read grants as they are kept; there is no space in a role or a scope."""
    return frozenset(text.split())


def join_grants(grants: Iterable[str]) -> str:
    """Write grants as they are kept."""
    return " ".join(sorted(grants))


async def _insert(
    tx: Transaction, name: str, password_hash: str, grants: Iterable[str], now: int
) -> User | None:
    row = await tx.fetch_one(
        "INSERT INTO broker_users VALUES (:name, :hash, :grants, 0, 1, :now, :now)"
        " ON CONFLICT DO NOTHING RETURNING *",
        name=name,
        hash=Hidden(password_hash),
        grants=join_grants(grants),
        now=now,
    )
    if row is None:
        return None
    await count_change(tx)
    return _user(row)


async def _update(tx: Transaction, name: str, assignment: str, now: int, **values: object) -> User:
    row = await tx.fetch_one(
        f"UPDATE broker_users SET {assignment}, changed_at = :now"  # noqa: S608  # our own text
        " WHERE name = :name RETURNING *",
        name=name,
        now=now,
        **values,
    )
    if row is None:
        raise UserNotFound(name)
    await count_change(tx)
    return _user(row)


def _user(row: Row) -> User:
    return User(
        name=row["name"],
        password_hash=row["password_hash"],
        grants=split_grants(row["grants"]),
        disabled=bool(row["disabled"]),
        token_version=row["token_version"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )
