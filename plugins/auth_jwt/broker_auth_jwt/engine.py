"""The engines of databases: what Database and HeldConnection take each of them for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from databases import Database as Driver
    from databases.core import Connection

PATIENCE_SECONDS = 5.0
"""How long anybody waits for the database: to be served by it, to connect, for one statement."""


class Engine(ABC):
    """What is different about SQLite and about PostgreSQL."""

    name: str
    """How messages call the database; there is no password in it."""
    failures: tuple[type[Exception], ...]
    """What the driver raises when the database cannot be used."""
    settings: ClassVar[Sequence[str]] = ()
    """Statements for each new connection."""
    integer: ClassVar[str]
    """The type of a column for 64 bits."""
    table_options: ClassVar[str]
    find_table: ClassVar[str]
    """A query with a row if there is the table `broker_accounts`."""

    @abstractmethod
    async def prepare(self) -> None:
        """See that there is a database to connect to; raises StartupError."""

    @abstractmethod
    def driver(self) -> Driver:
        """Return what makes one connection."""

    @abstractmethod
    def begin(self) -> Sequence[str]:
        """Return the statements that begin a change while which nobody else makes one."""

    @abstractmethod
    def counter(self) -> Counter:
        """Return the fastest way to read the number of changes."""

    def abandon(self, connection: Connection) -> None:
        """Give up a connection that may not answer any more, before it is closed."""


class Counter(Protocol):
    """Reads the number of changes, strictly: all that was committed before the question counts."""

    async def open(self) -> None:
        """Connect, once the database is prepared."""

    async def close(self) -> None:
        """Disconnect."""

    async def read(self) -> int:
        """Return the number; raises Unavailable."""
