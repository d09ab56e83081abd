"""Group commit: many operations, one commit, and whoever fails fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from broker.errors import BrokerError, StorageFailed
from broker.ordered.overlay import Overlay
from broker.ordered.store import OrderedStore
from broker.ordered.transaction import Transaction

MAX_JOBS = 256
"""How many operations share a commit at most."""

MAX_BYTES = 8 * 1024 * 1024
"""Nothing joins a commit whose changes have reached this size."""


class Job:
    """One operation, what came of it, and who waits for that."""

    __slots__ = ("error", "future", "is_look", "now", "operation", "result")

    def __init__(
        self,
        operation: Callable[[Transaction], Any],
        now: int,
        future: asyncio.Future[Any],
        *,
        is_look: bool,
    ) -> None:
        self.operation = operation
        self.now = now
        self.future = future
        self.is_look = is_look
        self.result: object = None
        self.error: Exception | None = None

    def attempt(self, base: Overlay) -> None:
        """Carry it out; raises what nobody can go on after."""
        self.error = None
        tx = Transaction(base, self.now)
        try:
            self.result = self.operation(tx)
            if not self.is_look:
                tx.end()
        except (StorageFailed, msgspec.DecodeError):
            raise
        except Exception as error:  # noqa: BLE001  # it is the answer to one caller, whatever it is
            self.error = error

    def answer(self) -> None:
        """Answer on the event loop, if somebody still waits."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Batch:
    """The jobs of one commit. Looks are among them: they see what is committed before they are
    answered, and nothing else."""

    def __init__(self, store: OrderedStore) -> None:
        self._store = store
        self.jobs: list[Job] = []

    def carry_out(self, jobs: Iterable[Job]) -> None:
        """Carry out jobs in order, durably: afterwards each has its result or its error.

        Raises what the store cannot go on after; then nobody knows what is kept.
        """
        changes = Overlay(self._store)
        for job in jobs:
            self.jobs.append(job)
            job.attempt(changes)
            if len(self.jobs) == MAX_JOBS or changes.size >= MAX_BYTES:
                break
        self._commit(changes)

    def _commit(self, changes: Overlay) -> None:
        try:
            if changes.changes:
                self._store.commit(changes.changes)
        except StorageFailed:
            raise
        except BrokerError as refusal:
            if len(self.jobs) == 1:
                self.jobs[0].error = refusal
                return
            # Nothing was changed, and it is not known whose change was too much.
            for job in self.jobs:
                Batch(self._store).carry_out([job])
