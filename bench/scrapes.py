"""Scrapes of a broker with ten thousand queues: a process of its own, which prints as JSON how long
they take, and how long everybody else waits for them."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

import msgspec

from broker import Draft, Handler, Identity, QueueSpec, Request
from broker.assembly import assemble
from broker.config import make_config
from broker.testing import ManualClock

IDENTITY = Identity(subject="bench", scopes=frozenset({"admin"}))
QUEUES = 10_000
SCRAPES = 7
AT_ONCE = 500
BEAT_SECONDS = 0.001
_TOKEN = "measured with this token"  # noqa: S105  # it guards nothing


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a scrape takes, in seconds: the median of some."""

    lasts: float
    """From when it is asked for until it is there."""
    cpu: float
    """Of the processor, by all threads."""
    blocks: float
    """The longest that the event loop did nothing else, by its own processor time."""


async def measure(directory: Path, storage: str, queues: int = QUEUES) -> Found:
    """Measure scrapes of queues that all hold a message; one in ten gets another in between."""
    plugins = ["metrics"] if storage == "memory" else [storage, "metrics"]
    settings = {"plugins": plugins, "anonymous": True, "data_dir": str(directory)}
    tables = {"metrics": {"token": _TOKEN}}
    clock = ManualClock()
    assembly = assemble(make_config({"broker": settings, "plugins": tables}), clock=clock)
    names = [f"queue-{number}" for number in range(queues)]
    broker = assembly.broker
    async with AsyncExitStack() as stack:
        # Only what is asked: upkeep would take its turns meanwhile.
        for _, provider in assembly.providers.in_order():
            await provider.open()
            stack.push_async_callback(provider.close)
        for begin in range(0, queues, AT_ONCE):
            chunk = names[begin : begin + AT_ONCE]
            await asyncio.gather(
                *(broker.queues.create(IDENTITY, QueueSpec(name)) for name in chunk)
            )
            await broker.publish(IDENTITY, [Draft(queue=name, body=b"x" * 100) for name in chunk])
        [route] = dict(assembly.transports)["metrics"].routes()
        found = []
        for number in range(SCRAPES):
            some = names[number::10][:1000]
            await broker.publish(IDENTITY, [Draft(queue=name, body=b"x" * 100) for name in some])
            clock.advance(15)
            found.append(await _scrape(route.handler))
    return Found(**{field: median(one[field] for one in found) for field in found[0]})


async def _scrape(handler: Handler) -> dict[str, float]:
    request = Request(method="GET", path="/metrics", headers={"authorization": f"Bearer {_TOKEN}"})
    turns: list[float] = []
    beating = asyncio.ensure_future(_beat(turns))
    await asyncio.sleep(0)
    began, cpu_before = time.perf_counter(), time.process_time()
    response = await handler(request)
    lasted, cpu = time.perf_counter() - began, time.process_time() - cpu_before
    await asyncio.sleep(BEAT_SECONDS)
    beating.cancel()
    assert response.body, "it shows something"
    return {"lasts": lasted, "cpu": cpu, "blocks": max(turns)}


async def _beat(turns: list[float]) -> None:
    """Note how long others took of the processor from one turn of this to the next."""
    while True:
        before = time.thread_time()
        await asyncio.sleep(BEAT_SECONDS)
        turns.append(time.thread_time() - before)


if __name__ == "__main__":
    found = asyncio.run(measure(Path(sys.argv[1]), sys.argv[2]))
    sys.stdout.buffer.write(msgspec.json.encode(found))
