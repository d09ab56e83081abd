"""Opening providers in order and closing them in reverse, each with a deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from types import TracebackType
from typing import Any, TypeVar

from broker.errors import PluginError, StartupError
from broker.isolation import Failures, is_from_outside
from broker.lifespan import Lifespan
from broker.provider import Provider

T = TypeVar("T")

OPEN_SECONDS = 300.0
"""How long whoever has a deadline may take to open."""

CLOSE_SECONDS = 5.0

logger = logging.getLogger("broker.lifecycle")


async def attempt(name: str, step: str, work: Awaitable[T], seconds: float | None) -> T:
    """Do one plugin's part of a start; raises PluginError with its name, or its StartupError."""
    with blamed(name, step):
        try:
            async with asyncio.timeout(seconds) as limit:
                return await work
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise PluginError(name, f"{step} did not end within {seconds:g} s") from error


@contextmanager
def blamed(name: str, step: str) -> Iterator[None]:
    """Raise PluginError with a plugin's name for whatever comes out of its part of a start,
    SystemExit too, but for its own StartupError."""
    try:
        yield
    except StartupError:
        raise
    except BaseException as error:
        if is_from_outside(error):
            raise
        problem = f"{step} failed: {type(error).__name__}: {error}"
        raise PluginError(name, problem) from error


class Lifecycle:
    """An exit stack that names who failed.

    What fails or hangs while it opens stops the start, and what was open already is closed.
    What fails or hangs while it closes is logged, and the others are closed all the same.
    """

    def __init__(
        self,
        failures: Failures,
        *,
        open_seconds: float = OPEN_SECONDS,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._failures = failures
        self._open_seconds = open_seconds
        self._close_seconds = close_seconds
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Lifecycle:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, at)

    async def open(self, name: str, provider: Provider) -> None:
        """Open one plugin's provider, and close it when the time comes."""
        # Pushed first: a provider whose `open` failed half way may have something to give back.
        self.push(name, provider.close)
        seconds = self._open_seconds if provider.open_has_deadline else None
        await attempt(name, f"{type(provider).__name__}.open", provider.open(), seconds)

    async def enter(self, name: str, manager: AbstractAsyncContextManager[Any]) -> None:
        """Enter one plugin's background work, and leave it when the time comes. It has a task of
        its own: what it cancels, as a task group does that fails, is itself."""
        lifespan = Lifespan(name, manager, self._failures)
        self.push(name, lifespan.leave)
        await attempt(name, "provide_lifespan", lifespan.enter(), self._open_seconds)

    def push(self, name: str, close: Callable[[], Awaitable[Any]]) -> None:
        """Call `close` when the time comes."""
        self._stack.push_async_callback(self._close, name, close)

    async def _close(self, name: str, close: Callable[[], Awaitable[Any]]) -> None:
        try:
            async with asyncio.timeout(self._close_seconds):
                await close()
        # An isolation point: one provider that cannot close must not keep the others open.
        except BaseException as error:
            if is_from_outside(error):
                raise
            logger.exception('plugin "%s" did not close', name)
