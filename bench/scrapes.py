"""Scrapes of a broker with ten thousand queues: a process of its own, which prints as JSON how long
they take, and how long everybody else waits for them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
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
DUE = 100_000
SCRAPES = 7
AT_ONCE = 500
BEAT_SECONDS = 0.001
FORMS = {
    "openmetrics": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "text": "text/plain",
}
"""What is accepted: in the first, what Prometheus 3 sends."""
_TOKEN = "measured with this token"  # noqa: S105  # it guards nothing


class Scrape(msgspec.Struct, frozen=True, kw_only=True):
    """What a scrape takes, in seconds."""

    lasts: float
    """From when it is asked for until it is there."""
    cpu: float
    """Of the processor, by all threads."""
    blocks: float
    """The longest that the event loop did nothing else, by its own processor time."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What scrapes take, each the median of some but the last."""

    openmetrics: Scrape
    """As Prometheus asks for it."""
    text: Scrape
    """In the text format."""
    due: Scrape
    """When many messages have become due, and nobody has noticed that yet."""


async def measure(directory: Path, storage: str, *, queues: int = QUEUES, due: int = DUE) -> Found:
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
        found: dict[str, list[Scrape]] = {form: [] for form in FORMS}
        for number in range(SCRAPES):
            some = names[number::10][:1000]
            for form, accept in FORMS.items():
                drafts = [Draft(queue=name, body=b"x" * 100) for name in some]
                await broker.publish(IDENTITY, drafts)
                clock.advance(15)
                found[form].append(await _scrape(route.handler, accept))
        for begin in range(0, due, AT_ONCE):
            late = Draft(queue=names[0], body=b"x" * 100, delay=15)
            await broker.publish(IDENTITY, [late] * min(AT_ONCE, due - begin))
        clock.advance(15)
        overdue = await _scrape(route.handler, FORMS["openmetrics"])
    return Found(due=overdue, **{form: _median(scrapes) for form, scrapes in found.items()})


def _median(scrapes: Sequence[Scrape]) -> Scrape:
    figures = zip(*map(msgspec.structs.astuple, scrapes), strict=True)
    return Scrape(**dict(zip(Scrape.__struct_fields__, map(median, figures), strict=True)))


async def _scrape(handler: Handler, accept: str) -> Scrape:
    headers = {"authorization": f"Bearer {_TOKEN}", "accept": accept}
    request = Request(method="GET", path="/metrics", headers=headers)
    turns: list[float] = []
    beating = asyncio.ensure_future(_beat(turns))
    await asyncio.sleep(0)
    began, cpu_before = time.perf_counter(), time.process_time()
    response = await handler(request)
    lasted, cpu = time.perf_counter() - began, time.process_time() - cpu_before
    await asyncio.sleep(BEAT_SECONDS)
    beating.cancel()
    assert response.body, "it shows something"
    return Scrape(lasts=lasted, cpu=cpu, blocks=max(turns))


async def _beat(turns: list[float]) -> None:
    """Note how long others took of the processor from one turn of this to the next."""
    while True:
        before = time.thread_time()
        await asyncio.sleep(BEAT_SECONDS)
        turns.append(time.thread_time() - before)


if __name__ == "__main__":
    found = asyncio.run(measure(Path(sys.argv[1]), sys.argv[2]))
    sys.stdout.buffer.write(msgspec.json.encode(found))
