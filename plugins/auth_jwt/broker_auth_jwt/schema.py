"""The tables, and the version of them that a database has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker import StorageUnreadable

if TYPE_CHECKING:
    from broker_auth_jwt.database import Transaction
    from broker_auth_jwt.engine import Engine

VERSION = 1

TABLES = (
    """CREATE TABLE broker_accounts (
        id {integer} PRIMARY KEY CHECK (id = 1),
        version {integer} NOT NULL,
        changes {integer} NOT NULL
    )""",
    """CREATE TABLE broker_users (
        name TEXT PRIMARY KEY,
        password_hash TEXT NOT NULL,
        grants TEXT NOT NULL,
        disabled {integer} NOT NULL,
        token_version {integer} NOT NULL,
        created_at {integer} NOT NULL,
        changed_at {integer} NOT NULL
    )""",
    """CREATE TABLE broker_sessions (
        id TEXT PRIMARY KEY,
        username TEXT NOT NULL,
        jti TEXT NOT NULL,
        created_at {integer} NOT NULL,
        expires_at {integer} NOT NULL,
        revoked_at {integer}
    )""",
    "CREATE INDEX broker_sessions_by_user ON broker_sessions (username)",
    "CREATE INDEX broker_sessions_by_end ON broker_sessions (expires_at)",
    """CREATE TABLE broker_service_tokens (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        digest TEXT NOT NULL,
        grants TEXT NOT NULL,
        created_at {integer} NOT NULL,
        expires_at {integer},
        revoked_at {integer},
        last_used_at {integer}
    )""",
    """CREATE TABLE broker_attempts (
        id TEXT PRIMARY KEY,
        account TEXT,
        address TEXT NOT NULL,
        at {integer} NOT NULL
    )""",
    "CREATE INDEX broker_attempts_by_account ON broker_attempts (account, at)",
    "CREATE INDEX broker_attempts_by_address ON broker_attempts (address, at)",
    "CREATE INDEX broker_attempts_by_time ON broker_attempts (at)",
)
"""`username`, because PostgreSQL keeps the word `user` for itself."""


async def make_schema(engine: Engine, tx: Transaction) -> None:
    """Make the tables if there are none; refuse what a newer broker made."""
    if await tx.fetch_one(engine.find_table):
        state = await tx.fetch_one("SELECT version FROM broker_accounts")
        version = None if state is None else state["version"]
        if version != VERSION:
            raise _refusal(engine, version)
        return
    for table in TABLES:
        options = engine.table_options if table.startswith("CREATE TABLE") else ""
        await tx.execute(table.format(integer=engine.integer) + options)
    await tx.execute("INSERT INTO broker_accounts VALUES (1, :version, 0)", version=VERSION)


def _refusal(engine: Engine, version: int | None) -> StorageUnreadable:
    if version is None:
        return StorageUnreadable(
            f"{engine.name} is damaged (its table broker_accounts lacks its row); restore a backup"
        )
    return StorageUnreadable(
        f"{engine.name} has schema version {version}, and this broker knows versions up to"
        f" {VERSION}; use the newer broker that wrote it, or restore a backup from before its"
        " upgrade"
    )
