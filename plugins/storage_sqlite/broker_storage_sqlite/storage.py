"""The storage: changes go to the writer, looks go to the reader."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from broker import (
    BulkResult,
    Capability,
    LeaseResult,
    Maintenance,
    MessageQuery,
    Meter,
    NewMessage,
    Page,
    PublishResult,
    Queue,
    QueueSpec,
    QueueStatus,
    Settle,
    Settled,
    Storage,
)

from broker_storage_sqlite.browse import browse, browse_each
from broker_storage_sqlite.bulk import bulk
from broker_storage_sqlite.config import Durability
from broker_storage_sqlite.connections import connect_writer
from broker_storage_sqlite.instruments import Instruments
from broker_storage_sqlite.lease import lease
from broker_storage_sqlite.lock import FileLock
from broker_storage_sqlite.maintain import maintain
from broker_storage_sqlite.opening import prepare_directory, prepare_file, startup_errors
from broker_storage_sqlite.publish import publish
from broker_storage_sqlite.queues import drop_queue, put_queue
from broker_storage_sqlite.reader import Reader
from broker_storage_sqlite.resume import retime_leases
from broker_storage_sqlite.room import demand_room
from broker_storage_sqlite.schema import read_migrations
from broker_storage_sqlite.settle import settle
from broker_storage_sqlite.status import status_of, status_query
from broker_storage_sqlite.transaction import Transaction
from broker_storage_sqlite.witness import Stamp, Witness, boot_id, read_witness
from broker_storage_sqlite.writer import Writer

T = TypeVar("T")


class SQLiteStorage(Storage):
    """Keeps queues and messages in one SQLite file, which one process opens at a time."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {"durable", "search", "priority", "groups", "dedup"}
    )
    open_has_deadline: ClassVar[bool] = False  # all of the file is checked, however big it is

    def __init__(
        self,
        path: Path,
        *,
        durability: Durability = "full",
        logger: logging.Logger | None = None,
        meter: Meter | None = None,
    ) -> None:
        # A lock is on the file, whatever names lead to it.
        self._path = path.resolve()
        self._durability = durability
        logger = logger or logging.getLogger(__name__)
        self._instruments = Instruments(meter or Meter(), self._path)
        self._writer = Writer(
            self._path,
            partial(connect_writer, self._path, durability),
            logger,
            note_commit=self._instruments.note_commit,
        )
        self._reader = Reader(self._path, logger)
        self._is_resumed = False
        self._opened = AsyncExitStack()
        self._closing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Lock, check and migrate the file; raises StorageLocked and StorageUnreadable."""
        async with AsyncExitStack() as opened:
            with startup_errors(self._path):
                prepare_directory(self._path)
                lock = FileLock(self._path)
                opened.callback(self._release, lock)
                lock.acquire()
                await prepare_file(self._path, read_migrations(), read_witness(lock.read()))
                opened.push_async_callback(self._writer.close)
                await self._writer.open(committed=self._note(lock), at_end=lock.release)
                opened.push_async_callback(self._reader.close)
                await self._reader.open()
                self._instruments.look()
            self._is_resumed = False
            self._opened = opened.pop_all()

    async def close(self) -> None:
        """Finish what was begun, write the log into the file, give the lock back."""
        # In a task of its own: whoever loses patience must not leave it half closed.
        if self._closing is None or self._closing.done():
            self._closing = asyncio.ensure_future(self._opened.aclose())
        await asyncio.shield(self._closing)

    async def ping(self) -> None:
        """Commit next to nothing; raises what publishing would."""

        def operation(tx: Transaction) -> None:
            demand_room(tx.sql, self._path, 0)
            tx.execute("UPDATE store SET commits = commits")

        await self._writer.run(operation)

    def describe(self) -> str:
        """Say where messages are kept and what they survive."""
        if self._durability == "full":
            return f"{self._path}, fsynced before it is answered"
        return f"{self._path}, fsynced now and then: a power cut can take the last seconds"

    async def carry_out(self, operation: Callable[[Transaction], T]) -> T:
        """Return what an operation returns that is none of the contract's."""
        return await self._writer.run(operation)

    def _note(self, lock: FileLock) -> Callable[[Stamp], None]:
        """Return what notes the newest commit in the lock file."""
        boot = boot_id()

        def note(stamp: Stamp) -> None:
            # Without it the next start knows less, and nothing is lost.
            with suppress(OSError):
                lock.write(Witness(stamp, self._durability, boot).encode())

        return note

    def _release(self, lock: FileLock) -> None:
        """Give back a lock that no thread is going to give back."""
        # Whoever closes may be cancelled, but what the thread has begun it also commits.
        if not self._writer.is_running:
            lock.release()

    async def put_queue(self, spec: QueueSpec, *, expect: int | None, now: int) -> Queue:
        """Make a queue or change its policy."""
        return await self._writer.run(partial(put_queue, spec=spec, expect=expect, now=now))

    async def get_queues(
        self,
        *,
        names: Sequence[str] | None = None,
        prefix: str = "",
        after: str | None = None,
        limit: int = 100,
        now: int,
    ) -> list[QueueStatus]:
        """List queues with their counts, by name."""
        query = status_query(names, prefix=prefix, after=after, limit=limit, now=now)
        # In the reader's thread all of it, for thousands of queues take their time.
        return await self._reader.run(lambda sql: [status_of(row) for row in sql.execute(*query)])

    async def drop_queue(self, name: str) -> bool:
        """Delete a queue with its messages and dedup keys."""
        return await self._writer.run(partial(drop_queue, name=name))

    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        """Store the whole batch or nothing."""
        size = sum(len(message.body) for message in batch)

        def operation(tx: Transaction) -> list[PublishResult]:
            demand_room(tx.sql, self._path, size)
            return publish(tx, batch, now)

        return await self._writer.run(operation, size=size)

    async def lease(
        self, queue: str, *, limit: int, lease_until: int, owner: str, now: int
    ) -> LeaseResult:
        """Lease up to `limit` messages, in lease order."""
        return await self._writer.run(
            partial(lease, name=queue, limit=limit, lease_until=lease_until, owner=owner, now=now)
        )

    async def settle(
        self, ops: Sequence[Settle], *, now: int, publish: Sequence[NewMessage] = ()
    ) -> Settled:
        """Carry out operations; with `publish`, all or nothing."""
        size = sum(len(message.body) for message in publish)

        def operation(tx: Transaction) -> Settled:
            if publish:
                demand_room(tx.sql, self._path, size)
            return settle(tx, ops, publish, now)

        return await self._writer.run(operation, size=size)

    async def browse(self, query: MessageQuery, *, now: int) -> Page:
        """Look at messages."""
        return await browse(self._reader, query, now)

    async def browse_each(self, queries: Sequence[MessageQuery], *, now: int) -> list[Page]:
        """Look several times."""
        return await browse_each(self._reader, queries, now)

    async def bulk(
        self, query: MessageQuery, action: Literal["delete", "redrive"], *, now: int, limit: int
    ) -> list[BulkResult]:
        """Remove or bring back at most `limit` messages."""
        return await self._writer.run(
            partial(bulk, query=query, action=action, now=now, limit=limit)
        )

    async def maintain(self, *, now: int, limit: int) -> Maintenance:
        """Do what time brings to at most `limit` messages."""
        if not self._is_resumed:
            await self._writer.run(partial(retime_leases, now=now))
            self._is_resumed = True

        def operation(tx: Transaction) -> Maintenance:
            self._instruments.look()
            return maintain(tx, now, limit)

        return await self._writer.run(operation)
