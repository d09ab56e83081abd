"""The database of users and tokens, whichever engine it is on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from broker import BrokerError, StorageUnreadable, Unavailable

from broker_auth_jwt.engine import Engine
from broker_auth_jwt.held_connection import HeldConnection
from broker_auth_jwt.schema import make_schema

if TYPE_CHECKING:
    from databases.core import Connection

T = TypeVar("T")

Row = Mapping[str, Any]


class Hidden(str):
    """A value that the logs of database drivers, which write every statement, do not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'********'"


class Transaction:
    """Statements that take effect together. A colon in a statement begins a parameter.

    Nothing is decided by what a driver says of the number of rows that a statement changed,
    because `databases` may say 1 for none: statements return the rows they changed.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, statement: str, **values: object) -> list[Row]:
        """Return all rows of a query, or of a change that ends with RETURNING."""
        records = await self._connection.fetch_all(statement, values)
        return [dict(record._mapping) for record in records]  # noqa: SLF001  # its API

    async def fetch_one(self, statement: str, **values: object) -> Row | None:
        """Return the first row, None without one."""
        return next(iter(await self.fetch(statement, **values)), None)

    async def execute(self, statement: str, **values: object) -> None:
        """Carry out a statement that returns no row."""
        await self._connection.execute(statement, values)


class Database:
    """Reads, and makes changes one after the other, each wholly and durably or not at all.

    That holds across processes: no change is made while another is, so it can rely on what it
    read, and never fails because somebody else wrote meanwhile.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection = HeldConnection(engine)

    async def open(self) -> None:
        """Make the database if there is none; raises StartupError for one that cannot be used."""
        await self._engine.prepare()
        await self._connection.open()
        try:
            await self.change(partial(make_schema, self._engine))
        except Unavailable as error:
            cause = error.__cause__
            raise StorageUnreadable(
                f"{self._engine.name} cannot be used ({type(cause).__name__}: {cause}); see that it"
                " works, and that plugins.auth_jwt names the right database"
            ) from error

    async def close(self) -> None:
        """Finish what was begun, and disconnect."""
        await self._connection.close()

    async def fetch(self, query: str, **values: object) -> list[Row]:
        """Return all rows of a query; raises Unavailable."""
        return await self._connection.use(
            lambda connection: Transaction(connection).fetch(query, **values)
        )

    async def fetch_one(self, query: str, **values: object) -> Row | None:
        """Return the first row of a query, None without one; raises Unavailable."""
        return next(iter(await self.fetch(query, **values)), None)

    async def change(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Return what the work returns once all that it did is durable; raises Unavailable.

        If the work raises, nothing of it was done. If the connection is lost while it is
        committed, nobody knows; that is Unavailable, too.
        """
        return await self._connection.use(partial(self._change, work))

    async def _change(
        self, work: Callable[[Transaction], Awaitable[T]], connection: Connection
    ) -> T:
        # Not `connection.transaction()`: on SQLite it begins as a reader, which then cannot write
        # if another process did, and after a failed COMMIT it leaves the transaction open.
        for statement in self._engine.begin():
            await connection.execute(statement)
        try:
            result = await work(Transaction(connection))
        except BrokerError:
            await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")
        return result
