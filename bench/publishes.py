"""Publishes without HTTP and without a disk, so that little is as much as much can be: a process of
its own, which prints as JSON what observers, interceptors and looks at the storage's answers add.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import ClassVar

import msgspec

from broker import Draft, Event, Identity, Interceptor, NewMessage, Observer, QueueSpec, hookimpl
from broker.assembly import assemble
from broker.builtin.memory import MemoryStorage
from broker.config import make_config
from broker.engine import Broker
from broker.isolation import Failures
from broker.operations.guarding import GuardedStorage
from broker.testing import ManualClock

IDENTITY = Identity(subject="bench", scopes=frozenset({"admin"}))
DRAFTS = [Draft(queue="q", body=b"x" * 100)]
PUBLISHES = 1000
TURNS = 15

Do = Callable[[], Awaitable[object]]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """How long one publish takes the processor, of all threads, in seconds."""

    alone: float
    in_loop: float
    """Told to an observer on the event loop."""
    in_thread: float
    """Told to an observer in its thread."""
    intercepted: float
    """Seen by an interceptor."""
    bare: float
    """By the storage alone."""
    guarded: float
    """By the storage, with a look at its answer."""


class _InThread(Observer):
    def notify(self, events: Sequence[Event]) -> None:
        pass


class _InLoop(_InThread):
    in_loop: ClassVar[bool] = True


class _Sees(Interceptor):
    async def before_publish(
        self,
        identity: Identity,  # noqa: ARG002  # the method's own
        batch: Sequence[NewMessage],
    ) -> Sequence[NewMessage]:
        return batch


class _Observing:
    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    @hookimpl
    def provide_observer(self) -> Observer:
        return self._observer


class _Intercepting:
    @hookimpl
    def provide_interceptor(self) -> Interceptor:
        return _Sees()


async def measure(directory: Path) -> Found:
    """Publish in each way by turns: the machine is seldom the same for whoever comes later."""
    plugins = {
        "in_loop": _Observing(_InLoop()),
        "in_thread": _Observing(_InThread()),
        "intercepted": _Intercepting(),
    }
    async with AsyncExitStack() as stack:
        ways: dict[str, Do] = {"alone": await _publisher(stack, directory, {})}
        for name, plugin in plugins.items():
            ways[name] = await _publisher(stack, directory, {name: plugin})
        ways |= await _storages(stack)
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(TURNS):
            for name, do in ways.items():
                times[name].append(await _seconds(do))
    return Found(**{name: median(found) for name, found in times.items()})


async def _publisher(stack: AsyncExitStack, directory: Path, added: dict[str, object]) -> Do:
    settings = {"plugins": ["memory", *added], "disable": ["log"], "data_dir": str(directory)}
    assembly = assemble(make_config({"broker": {**settings, "anonymous": True}}), added=added)
    broker: Broker = await stack.enter_async_context(assembly.running())
    await broker.queues.create(IDENTITY, QueueSpec("q"))
    return lambda: broker.publish(IDENTITY, DRAFTS)


async def _storages(stack: AsyncExitStack) -> dict[str, Do]:
    storage, clock = MemoryStorage(), ManualClock()
    await storage.open()
    stack.push_async_callback(storage.close)
    guarded = GuardedStorage("memory", storage, Failures(clock))
    batch, now = [NewMessage(queue="q", body=b"x" * 100)], clock.now()
    await storage.put_queue(QueueSpec("q"), expect=0, now=now)
    return {
        "bare": lambda: storage.publish(batch, now=now),
        "guarded": lambda: guarded.publish(batch, now=now),
    }


async def _seconds(do: Do) -> float:
    start = time.process_time()
    for _ in range(PUBLISHES):
        await do()
    return (time.process_time() - start) / PUBLISHES


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(measure(Path(sys.argv[1])))))
