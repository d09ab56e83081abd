"""One connection to a database: held, used by one at a time, and made anew after it failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, TypeVar

from broker import BrokerError, Closed, Unavailable

from broker_auth_jwt.engine import PATIENCE_SECONDS, Engine

if TYPE_CHECKING:
    from databases.core import Connection

T = TypeVar("T")

logger = logging.getLogger("broker.plugins.auth_jwt")


class HeldConnection:
    """Holds a connection through `databases`: a call without a held one would open its own.

    All work is done in a task of its own, so nobody who is cancelled leaves half of it behind.
    A connection on which anything failed is closed, which undoes what was begun on it, and the
    next who needs one connects anew.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._connection: Connection | None = None
        self._task: asyncio.Task[object] | None = None
        self._is_open = False

    async def open(self) -> None:
        """Connect when there is work to do."""
        self._is_open = True

    async def close(self) -> None:
        """Finish what was begun, and disconnect."""
        self._is_open = False
        async with self._lock:
            await self._disconnect()

    async def use(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return what the work with the connection returns; raises Unavailable."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._lock.acquire()
        except TimeoutError as error:
            raise self._unavailable(error) from error
        task = asyncio.ensure_future(self._use(work))
        task.add_done_callback(lambda _: self._lock.release())
        self._task = task  # the loop itself keeps no task alive
        return await asyncio.shield(task)

    async def _use(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        if not self._is_open:
            raise Closed("the database of users is not open")
        try:
            connection = self._connection or await self._connect()
            return await work(connection)
        except BrokerError:
            raise  # refused: nothing is wrong with the connection
        except BaseException as error:
            if self._connection is not None:
                self._engine.abandon(self._connection)
            await self._disconnect()
            if isinstance(error, self._engine.failures):
                raise self._unavailable(error) from error
            raise

    async def _connect(self) -> Connection:
        driver = await self._stack.enter_async_context(self._engine.driver())
        connection = await self._stack.enter_async_context(driver.connection())
        for setting in self._engine.settings:
            await connection.execute(setting)
        self._connection = connection
        return connection

    async def _disconnect(self) -> None:
        stack, self._stack, self._connection = self._stack, AsyncExitStack(), None
        with suppress(*self._engine.failures, TimeoutError):  # it is of no use any more
            async with asyncio.timeout(PATIENCE_SECONDS):
                await stack.aclose()

    def _unavailable(self, error: BaseException) -> Unavailable:
        # Clients read the answer; what it was about is for the log.
        logger.warning("%s cannot be used: %s: %s", self._engine.name, type(error).__name__, error)
        return Unavailable("users and tokens cannot be looked up now; try again later")
