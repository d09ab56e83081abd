"""The connection for cold reads; it cannot write, so it never gets into the writer's way."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from broker import Closed

from broker_storage_sqlite.connections import database
from broker_storage_sqlite.faults import translate

if TYPE_CHECKING:
    from databases.core import Connection

T = TypeVar("T")


class Reader:
    """Holds one read-only connection through `databases`, and reads one statement at a time.

    Each read sees everything that was committed before it began, and leaves no transaction open.
    """

    def __init__(self, path: Path, logger: logging.Logger) -> None:
        self._path = path
        self._logger = logger
        self._stack = AsyncExitStack()
        self._begun: set[asyncio.Task[Any]] = set()
        self._connection: Connection | None = None

    async def open(self) -> None:
        """Connect. Close also after this was cancelled or failed."""
        self._connection = await self._begin(self._connect())

    async def close(self) -> None:
        """Finish what was begun, and disconnect."""
        self._connection = None
        while self._begun:
            await asyncio.wait(self._begun)
        await self._stack.aclose()

    async def fetch(self, query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows; a colon in `query` begins a parameter. Raises Unavailable."""
        if self._connection is None:
            raise Closed("the storage is not open")
        return await self._begin(self._fetch(self._connection, query, parameters))

    async def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `read` returns, which reads with several statements and nobody between them;
        raises Unavailable."""
        if self._connection is None:
            raise Closed("the storage is not open")
        return await self._begin(self._run(self._connection, read))

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Do something in a task of its own, for which closing waits.

        Connecting that is cut short would leave a connection to nobody, and a read its statement
        open, and with it a snapshot of the database.
        """
        task = asyncio.ensure_future(work)
        self._begun.add(task)
        task.add_done_callback(self._done)
        return asyncio.shield(task)

    async def _connect(self) -> Connection:
        file = await self._stack.enter_async_context(database(self._path))
        # Held, because a call without a held connection opens one, and loses its settings.
        connection = await self._stack.enter_async_context(file.connection())
        await connection.execute("PRAGMA temp_store = MEMORY")
        await connection.execute("PRAGMA trusted_schema = OFF")
        # Who has read keeps the file in use. So a writer that gave up is not the last to leave it,
        # who would copy the log into the file.
        await connection.fetch_val("SELECT count(*) FROM store")
        return connection

    async def _fetch(
        self, connection: Connection, query: str, parameters: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        try:
            records = await connection.fetch_all(query, dict(parameters))
        except sqlite3.Error as error:
            raise translate(error, self._path, self._logger) from error
        return [tuple(record._mapping.values()) for record in records]  # noqa: SLF001  # its API

    async def _run(self, connection: Connection, read: Callable[[sqlite3.Connection], T]) -> T:
        raw = connection.raw_connection
        try:
            # What aiosqlite offers goes to its thread and back for each statement.
            result: T = await raw._execute(read, raw._conn)  # noqa: SLF001  # for the above reason
        except sqlite3.Error as error:
            raise translate(error, self._path, self._logger) from error
        return result

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._begun.discard(task)
        if not task.cancelled():
            task.exception()  # taken, so that it is not reported when nobody waits any more
