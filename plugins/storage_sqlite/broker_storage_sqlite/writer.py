"""The one writer: a thread that owns the only connection that changes anything.

It takes all that waits, carries it out in one transaction and answers all after the commit. While
the disk syncs, more requests gather: they are the next transaction. Nobody waits for a batch.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from broker import Closed, StorageFull

from broker_storage_sqlite.faults import give_up, is_fatal, translate
from broker_storage_sqlite.group_commit import Job, carry_out
from broker_storage_sqlite.room import RESERVE_BYTES
from broker_storage_sqlite.transaction import Transaction
from broker_storage_sqlite.witness import Stamp

T = TypeVar("T")

MAX_JOBS = 256
"""How many operations share a commit at most."""

MAX_BYTES = 8 * 1024 * 1024
"""Nothing joins a transaction whose new bodies have reached this size."""


class Writer:
    """Carries out operations in the order in which they come, many in one commit."""

    def __init__(
        self,
        path: Path,
        connect: Callable[[], sqlite3.Connection],
        logger: logging.Logger,
        *,
        note_commit: Callable[[float, int], None] = lambda _seconds, _batch: None,
    ) -> None:
        """The thread calls `note_commit` with how long the disk took for a commit that changed
        something, and how many operations shared it."""
        self._path = path
        self._connect = connect
        self._logger = logger
        self._note_commit = note_commit
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self._is_full = False
        self._is_open = False

    async def open(
        self,
        *,
        committed: Callable[[Stamp], None] = lambda _: None,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the thread and connect; raises what connecting raises.

        The thread calls `committed` with what the last commit was, at once and after each that
        changes something, before anybody is answered; and `at_end` when it has disconnected,
        however long that takes.
        """
        self._failure = None
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        # A daemon, so that a process that forgets to close the storage still ends.
        thread = threading.Thread(
            target=self._run, args=(at_end,), name="storage_sqlite", daemon=True
        )
        thread.start()
        self._thread = thread
        await asyncio.shield(self._opened)
        self._is_open = True

    async def close(self) -> None:
        """Finish what waits, move the log into the file, disconnect, end the thread."""
        self._is_open = False
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.shield(self._ended)
            self._thread.join()
            self._thread = None

    @property
    def is_running(self) -> bool:
        """Whether the thread has still to call `at_end`."""
        return self._thread is not None and self._thread.is_alive()

    def check(self) -> None:
        """Raise Closed, or StorageFailed when it writes nothing any more."""
        if not self._is_open:
            raise Closed("the storage is not open")
        if self._failure is not None:
            raise give_up(self._failure, self._path)

    async def run(self, operation: Callable[[Transaction], T], *, size: int = 0) -> T:
        """Return what the operation returns once it is durable, or raise what it raises.

        `size` is that of the bodies that it stores. Cancelling the caller does not stop an
        operation that has begun.
        """
        self.check()
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(Job(operation, future, size))
        return await future

    def _run(self, at_end: Callable[[], None]) -> None:
        try:
            self._serve()
        finally:
            at_end()
            self._tell(_finish, self._ended)

    def _serve(self) -> None:
        try:
            sql = self._connect()
        except Exception as error:  # noqa: BLE001  # it belongs to the caller of open
            self._tell(_fail, self._opened, error)
            return
        try:
            jobs = self._work(sql)
        finally:
            self._disconnect(sql)
        while jobs:
            self._refuse(jobs)
            jobs = self._gather()

    def _work(self, sql: sqlite3.Connection) -> Sequence[Job]:
        """Carry out what comes, until the end; return the jobs with which the disk failed."""
        try:
            tx = Transaction(sql)
        except Exception as error:  # noqa: BLE001  # as above
            self._tell(_fail, self._opened, error)
            return ()
        self._committed(tx.stamp)
        self._tell(_finish, self._opened)
        while jobs := self._gather():
            self._carry_out(tx, [job for job in jobs if not job.future.cancelled()])
            if self._failure is not None:
                return jobs
        return ()

    def _gather(self) -> list[Job]:
        """Wait for a job, and take what waits with it; nothing when it is time to end."""
        job = self._jobs.get()
        jobs: list[Job] = []
        size = 0
        while job is not None:
            jobs.append(job)
            size += job.size
            if len(jobs) == MAX_JOBS or size >= MAX_BYTES:
                return jobs
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs
        if jobs:
            self._jobs.put(None)
        return jobs

    def _carry_out(self, tx: Transaction, jobs: Sequence[Job]) -> None:
        before = tx.stamp
        try:
            carry_out(tx, jobs)
            errors = (job.error for job in jobs if job.error is not None)
            self._failure = next(filter(is_fatal, errors), None)
        except Exception as error:  # a bug; nobody shall wait for ever for it
            self._logger.exception("a bug in the writer of %s", self._path)
            self._failure = error
        if self._failure is not None:
            return
        if tx.stamp != before:
            self._committed(tx.stamp)
            self._note_commit(tx.commit_seconds, len(jobs))
        for job in jobs:
            job.error = job.error and translate(job.error, self._path, self._logger)
        self._note_room(jobs)
        self._tell(_answer, jobs)

    def _refuse(self, jobs: Sequence[Job]) -> None:
        # All of them: of a commit that failed nobody knows what is on the disk.
        assert self._failure is not None, "that is why"
        for job in jobs:
            job.error = give_up(self._failure, self._path)
        self._tell(_answer, jobs)

    def _note_room(self, jobs: Sequence[Job]) -> None:
        """Tell the log when the disk is full, and when it is not any more."""
        if any(isinstance(job.error, StorageFull) for job in jobs):
            if not self._is_full:
                self._is_full = True
                self._logger.warning(
                    "no room for %s: publishing is refused until more than %d MiB are free",
                    self._path,
                    RESERVE_BYTES // 1024**2,
                )
        elif self._is_full and any(job.size and job.error is None for job in jobs):
            self._is_full = False
            self._logger.warning("there is room for %s again", self._path)

    def _disconnect(self, sql: sqlite3.Connection) -> None:
        try:
            if self._failure is not None:
                return  # the log is left as it is: the reader still has the file
            [is_busy, *_] = sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if is_busy:
                self._logger.warning("%s-wal is in use elsewhere and stays", self._path)
        except sqlite3.Error as error:
            self._logger.warning("%s-wal stays: %s", self._path, error)
        finally:
            sql.close()

    def _tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            # The loop is closed: whoever waited is gone.
            self._logger.warning("the event loop ended before the storage was closed")


def _answer(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.answer()


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
