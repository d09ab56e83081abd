"""The thread that owns a store: it takes all that waits, commits once, and answers all.

While a commit waits for the disk, more operations gather: they are the next one. Nobody waits for
a batch to fill.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from broker.errors import Closed, StorageFailed, StorageUnreadable
from broker.ordered import keys
from broker.ordered.group_commit import Batch, Job
from broker.ordered.records import Ids, check_format, encode
from broker.ordered.store import OrderedStore
from broker.ordered.transaction import Transaction

T = TypeVar("T")


class Writer:
    """Carries out operations on a store, in the order in which they come."""

    def __init__(self, store: OrderedStore) -> None:
        self.store = store
        self._is_open = False
        self._failure: BaseException | None = None
        self._ended: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Start the thread, and open the store in it; raises what that raises."""
        self._failure = None
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended = self._loop.create_future()
        # A daemon, so that a process that forgets to close the storage still ends.
        name = type(self.store).__name__
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        try:
            await asyncio.shield(self._opened)
        except BaseException:
            self._jobs.put(None)  # whoever lost patience does not come back to close it
            raise
        self._is_open = True

    async def close(self) -> None:
        """Finish what waits, close the store, end the thread."""
        if self._is_open:
            self._is_open = False
            self._jobs.put(None)
        if self._ended is not None:
            await asyncio.shield(self._ended)
            self._thread.join()

    def check(self) -> None:
        """Raise Closed, or StorageFailed when it carries out nothing any more."""
        if not self._is_open:
            raise Closed("the storage is not open")
        if self._failure is not None:
            raise self._give_up()

    def use(self, store: OrderedStore) -> None:
        """Use another store from the next batch on: one that stands before the first, to watch it.

        Called by an operation, and so in the thread.
        """
        self.store = store

    async def run(
        self, operation: Callable[[Transaction], T], now: int, *, is_look: bool = False
    ) -> T:
        """Return what the operation returns once it is durable, or raise what it raises.

        A look changes nothing, whatever its transaction says. Cancelling the caller does not stop
        an operation that has begun.
        """
        self.check()
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(Job(operation, now, future, is_look=is_look))
        return await future

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            _open(self.store)
        except BaseException as error:  # noqa: BLE001  # it belongs to the caller of open
            self._tell(_settle, self._opened, error)
        else:
            self._tell(_settle, self._opened, None)
            failure = self._serve()
        self._tell(_settle, self._ended, failure)

    def _serve(self) -> BaseException | None:
        """Work until the end, and close the store; return with what that failed."""
        self._work()
        try:
            self.store.close()
        except BaseException as error:  # noqa: BLE001  # it belongs to the caller of close
            return error
        return None

    def _work(self) -> None:
        self._is_over = False
        while not self._is_over:
            batch = Batch(self.store)
            if self._failure is None:
                self._carry_out(batch)
            else:
                batch.jobs.extend(self._waiting())
            for job in batch.jobs if self._failure is not None else ():
                # All of them: of a commit that failed nobody knows what it did.
                job.error = self._give_up()
            self._tell(_answer, batch.jobs)

    def _carry_out(self, batch: Batch) -> None:
        try:
            batch.carry_out(self._waiting())
        # Panics of stores that are written in Rust are no Exception.
        except BaseException as error:  # noqa: BLE001  # nobody shall wait for ever for it
            self._failure = error

    def _give_up(self) -> StorageFailed:
        error = self._failure
        what = f"{self.store.describe()} is not written any more"
        remedy = "see that its disk works, and start the broker again"
        failed = StorageFailed(
            error.problem
            if isinstance(error, StorageFailed)
            else f"{what} ({error}, {type(error).__name__}): {remedy}"
        )
        failed.__cause__ = error
        return failed

    def _waiting(self) -> Iterator[Job]:
        """Wait for a job, and yield it and those that wait with it."""
        job = self._jobs.get()
        while job is not None:
            if not job.future.cancelled():
                yield job
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return
        self._is_over = True

    def _tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        # Once the loop is closed, nobody waits for an answer.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)


def _open(store: OrderedStore) -> None:
    store.open()
    try:
        _prepare(store)
    except BaseException:
        store.close()
        raise


def _prepare(store: OrderedStore) -> None:
    """Make a new store one of these; raises StorageUnreadable if it holds something else."""
    ids = store.get(keys.IDS)
    if ids is not None:
        check_format(ids, store.describe())
    elif next(store.scan(b"\0", b"\xff"), None) is None:
        store.commit({keys.IDS: encode(Ids())})
    else:
        raise StorageUnreadable(f"{store.describe()} holds something that is none of a broker's")


def _answer(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.answer()


def _settle(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
