"""One thing that a plugin provides, while it is tried: it can hang, block or raise anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec

from broker.alarm import TooSlow, alarm

Step = Literal["open", "ping", "close"]

GRACE_SECONDS = 1.0
"""How long what was cancelled may take to end, before it is left behind."""


class Failure(msgspec.Struct, frozen=True):
    """Why a step did not end well; without a cause, it did not end in time."""

    step: Step
    cause: BaseException | None


class Part:
    """A provider or a lifespan, `kind` for short; it lives in a task of its own.

    So a lifespan is left in the task in which it was entered, and what does not even end when it
    is cancelled is left behind, and keeps nobody.
    """

    def __init__(
        self,
        plugin: str,
        kind: str,
        steps: Mapping[Step, Callable[[], Awaitable[Any]]],
        *,
        seconds: float,
        has_deadline: bool = True,
    ) -> None:
        self.plugin = plugin
        self.kind = kind
        self.seconds = seconds
        self.has_deadline = has_deadline
        self.took: dict[Step, float] = {}
        """Seconds that each step took that ended well."""
        self.failures: list[Failure] = []
        self._steps = steps
        self._orders: asyncio.Queue[tuple[Step, asyncio.Future[None]]] = asyncio.Queue()
        self._life: asyncio.Task[None] | None = None
        self._is_over = False

    @property
    def is_open(self) -> bool:
        """Whether it was opened, and not left behind."""
        return "open" in self.took and not self._is_over

    async def do(self, step: Step) -> None:
        """Do a step, if it has one; what came of it is in `took` or in `failures`."""
        if step not in self._steps or self._is_over:
            return
        if self._life is None:
            self._life = asyncio.create_task(self._live())
        done = asyncio.get_running_loop().create_future()
        self._orders.put_nowait((step, done))
        # It rings only for what blocks the loop: all else is cancelled before.
        with alarm(self.seconds + GRACE_SECONDS / 2, unless=self._awaits):
            await asyncio.wait({done}, timeout=self.seconds + GRACE_SECONDS)
        if not done.done():
            self._is_over = True
            self.failures.append(Failure(step, None))

    def end(self) -> asyncio.Task[None] | None:
        """Have the task end, and return it."""
        self._is_over = True
        if self._life is not None:
            self._life.cancel()
        return self._life

    def _awaits(self) -> bool:
        return asyncio.current_task() is not self._life

    async def _live(self) -> None:
        while True:
            step, done = await self._orders.get()
            await self._try(step)
            if self._is_over:
                return
            done.set_result(None)

    async def _try(self, step: Step) -> None:
        began = time.perf_counter()
        limit = asyncio.timeout(self.seconds)
        try:
            async with limit:
                await self._steps[step]()
        except KeyboardInterrupt:
            raise
        # An isolation point: whatever it raises is what is to be told, and the others go on.
        except BaseException as error:  # noqa: BLE001  # see above
            late = isinstance(error, TooSlow) or limit.expired()
            self.failures.append(Failure(step, None if late else error))
        else:
            self.took[step] = time.perf_counter() - began
