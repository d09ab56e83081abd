"""Group commit: many operations, one transaction, and whoever fails fails alone."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from broker_storage_sqlite.faults import is_fatal
from broker_storage_sqlite.transaction import Transaction, Undone


class Job:
    """One operation, what came of it, and who waits for that."""

    __slots__ = ("error", "future", "operation", "result", "size")

    def __init__(
        self, operation: Callable[[Transaction], Any], future: asyncio.Future[Any], size: int
    ) -> None:
        self.operation = operation
        self.future = future
        self.size = size
        self.result: object = None
        self.error: Exception | None = None

    def answer(self) -> None:
        """Answer on the event loop, if somebody still waits."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


def carry_out(tx: Transaction, jobs: Sequence[Job]) -> None:
    """Carry out the jobs in order, durably: afterwards each has its result or its error.

    It is one transaction, unless a job breaks it for all: then the others begin again without it,
    or, if it is not known which one it was, each by itself.
    """
    while jobs:
        jobs = _transact(tx, jobs)


def _transact(tx: Transaction, jobs: Sequence[Job]) -> Sequence[Job]:
    """Return the jobs that must begin again."""
    try:
        tx.begin()
        for job in jobs:
            _attempt(tx, job, alone=len(jobs) == 1)
            if job.error is not None and (is_fatal(job.error) or tx.is_spoilt):
                raise job.error
            if not tx.is_open:
                tx.roll_back()
                return [other for other in jobs if other is not job]
        tx.commit()
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):
            tx.roll_back()
        if len(jobs) > 1 and not is_fatal(error):
            for job in jobs:
                _transact(tx, [job])
        else:
            for job in jobs:
                job.error = job.error or error
    return ()


def _attempt(tx: Transaction, job: Job, *, alone: bool) -> None:
    job.error = None
    try:
        job.result = tx.carry_out(job.operation) if alone else tx.attempt(job.operation)
    except Undone as undone:
        job.result = undone.answer
    except Exception as error:  # noqa: BLE001  # it is the answer to one caller, whatever it is
        job.error = error
    else:
        return
    if alone:
        tx.roll_back()
