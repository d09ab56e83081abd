"""What a plugin is given: its name, its config, a logger, the time, a place for files."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from broker.meter import Meter

T = TypeVar("T")


class Timer(Protocol):
    """A call that will be made later."""

    def cancel(self) -> None:
        """Do not make it. Harmless when it was made already."""


class Clock:
    """Wall time that no step of the system clock disturbs.

    It is read from the system once and then follows the monotonic clock, so a lease ends when
    its seconds have passed, whatever happens to the wall. `broker.testing.ManualClock` stands
    still until a test moves it.
    """

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        """Return milliseconds UTC since 1970."""
        return (time.monotonic_ns() + self._offset_ns) // 1_000_000

    def call_at(self, when: int, callback: Callable[[], None]) -> Timer:
        """Call back on the running loop once `now()` is at least `when`, in a context of its own:
        that of the request that may have asked for it is over by then."""
        delay = max(0, when - self.now()) / 1000
        return asyncio.get_running_loop().call_later(delay, callback, context=Context())

    async def sleep_until(self, when: int) -> None:
        """Return once `now()` is at least `when`."""
        woken = asyncio.Event()
        timer = self.call_at(when, woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()


class PluginContext(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin's view of the broker. What plugins need later becomes an attribute here."""

    name: str
    """That of its entry point, by which the config and all messages know the plugin."""
    config: Any
    """An instance of what `config_schema` returned, validated; None without a schema."""
    logger: logging.Logger
    """Named `broker.plugins.<name>`."""
    clock: Clock
    """The time; a test's stands still until the test moves it."""
    data_dir: Path
    """Where relative paths of a config are meant to lie; it exists when a provider is opened."""
    environment: Literal["development", "production"] = "development"
    """What the broker is for, as `broker.environment` says."""
    meter: Meter = msgspec.field(default_factory=Meter)
    """What it registers its numbers with, for plugins that tell of metrics to show them."""
    _made: dict[Callable[[PluginContext], Any], Any] = msgspec.field(default_factory=dict)

    def once(self, make: Callable[[PluginContext], T]) -> T:
        """Return what `make` returned when it was first asked for, made from this context.

        By it the hooks of a plugin share objects: the context is the same for all of them, and
        another one for every broker.
        """
        if make not in self._made:
            self._made[make] = make(self)
        made: T = self._made[make]
        return made
