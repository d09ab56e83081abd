"""Users in PostgreSQL, which several brokers share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from broker import ConfigError

from broker_auth_jwt.engine import PATIENCE_SECONDS, Engine
from broker_auth_jwt.held_connection import HeldConnection

if TYPE_CHECKING:
    from databases import Database as Driver
    from databases.core import Connection

_LOCK = 0x52424131
"""Whoever holds this advisory lock of the database is the only one to make a change."""


class PostgreSQL(Engine):
    """A database of a server, by the driver asyncpg."""

    integer = "BIGINT"
    table_options = ""
    find_table = "SELECT 1 AS found WHERE to_regclass('broker_accounts') IS NOT NULL"

    def __init__(self, url: str) -> None:
        try:
            import asyncpg  # type: ignore[import-untyped]  # no types; an extra
        except ImportError as error:
            raise ConfigError(
                "plugins.auth_jwt.database_url needs the driver asyncpg;"
                " run: pip install 'replika-broker-auth-jwt[postgresql]'"
            ) from error
        # A TimeoutError is an OSError.
        self.failures = (
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            OSError,
        )
        parts = urlsplit(url)
        self._database = parts.path.removeprefix("/")
        self._url = url
        host = f" of {parts.hostname}" if parts.hostname else ""
        self.name = f"PostgreSQL database {self._database}{host}"

    async def prepare(self) -> None:
        """Do nothing: the server has its databases."""

    def driver(self) -> Driver:
        """Return a pool for one connection."""
        from databases import Database as Driver  # imports SQLAlchemy

        # The URL goes to the driver itself: `databases` would drop its sslmode, and logs its own.
        return Driver(
            f"postgresql:///{self._database}",
            dsn=self._url,
            min_size=0,  # it would connect in the background, and log each time that fails
            max_size=1,
            timeout=PATIENCE_SECONDS,
            command_timeout=PATIENCE_SECONDS,
            server_settings={"application_name": "replika-broker"},
        )

    def begin(self) -> Sequence[str]:
        """Return what begins a change and waits for its turn, also to make the tables."""
        return (
            # Each statement sees what was committed before it, so all but the lock see everything.
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            f"SELECT pg_advisory_xact_lock({_LOCK})",
        )

    def counter(self) -> SharedCounter:
        """Return one who asks the server."""
        return SharedCounter(HeldConnection(self))

    def abandon(self, connection: Connection) -> None:
        """Close the socket: a server that is gone would not answer a polite end either."""
        with suppress(*self.failures):  # the driver has noticed already
            connection.raw_connection.terminate()


class SharedCounter:
    """Asks one question at a time; those who come meanwhile share the next.

    So nobody gets an answer to a question that was asked before his own.
    """

    def __init__(self, connection: HeldConnection) -> None:
        self._connection = connection
        self._asked: asyncio.Future[int] | None = None
        self._next: asyncio.Future[int] | None = None

    async def open(self) -> None:
        """Connect with the first question."""
        await self._connection.open()

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()

    async def read(self) -> int:
        """Return the number of changes now."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._ask(self._asked))
        return await asyncio.shield(self._next)

    async def _ask(self, before: asyncio.Future[int] | None) -> int:
        if before is not None:
            await asyncio.wait([before])
        self._asked, self._next = self._next, None
        return await self._connection.use(_fetch_changes)


async def _fetch_changes(connection: Connection) -> int:
    # Past `databases`, which would double the cost of what is asked for every request.
    raw: Any = connection.raw_connection
    return int(await raw.fetchval("SELECT changes FROM broker_accounts"))
