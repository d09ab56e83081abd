"""The connection for cold reads; it cannot write, so it never gets into the writer's way."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from broker import Closed
from databases.core import Connection

from broker_storage_sqlite.connections import database
from broker_storage_sqlite.faults import translate


class Reader:
    """Holds one read-only connection through `databases`, and reads one statement at a time.

    Each read sees everything that was committed before it began, and leaves no transaction open.
    """

    def __init__(self, path: Path, logger: logging.Logger) -> None:
        self._path = path
        self._logger = logger
        self._stack = AsyncExitStack()
        self._reads: set[asyncio.Task[list[tuple[Any, ...]]]] = set()
        self._connection: Connection | None = None

    async def open(self) -> None:
        """Connect."""
        file = await self._stack.enter_async_context(database(self._path, "ro"))
        # Held, because a call without a held connection opens one, and loses its settings.
        connection = await self._stack.enter_async_context(file.connection())
        await connection.execute("PRAGMA temp_store = MEMORY")
        await connection.execute("PRAGMA trusted_schema = OFF")
        # Who has read keeps the file in use. So a writer that gave up is not the last to leave it,
        # who would copy the log into the file.
        await connection.fetch_val("SELECT count(*) FROM store")
        self._connection = connection

    async def close(self) -> None:
        """Finish what is being read, and disconnect."""
        self._connection = None
        while self._reads:
            await asyncio.wait(self._reads)
        await self._stack.aclose()

    async def fetch(self, query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows; a colon in `query` begins a parameter. Raises Unavailable."""
        if self._connection is None:
            raise Closed("the storage is not open")
        reading = self._fetch(self._connection, query, parameters)
        # In a task of its own: a read that is cut short would leave its statement, and with it
        # a snapshot of the database, open.
        read = asyncio.ensure_future(reading)
        self._reads.add(read)
        read.add_done_callback(self._done)
        return await asyncio.shield(read)

    async def _fetch(
        self, connection: Connection, query: str, parameters: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        try:
            records = await connection.fetch_all(query, dict(parameters))
        except sqlite3.Error as error:
            raise translate(error, self._path, self._logger) from error
        return [tuple(record._mapping.values()) for record in records]  # noqa: SLF001  # its API

    def _done(self, read: asyncio.Task[list[tuple[Any, ...]]]) -> None:
        self._reads.discard(read)
        if not read.cancelled():
            read.exception()  # taken, so that it is not reported when nobody waits any more
