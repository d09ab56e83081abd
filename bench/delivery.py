"""From a publish to its delivery by a consumer that waits."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.figures import Measured, Row, Sample, collect
from bench.load import post
from bench.servers import Server, broker, run_module

RATE = 200
"""Messages a second."""
_MESSAGES = 1000
_CONSUMERS = 4
_ROWS = (
    Row(name="publish to delivery, p50", at_most=5, unit="ms"),
    Row(name="publish to delivery, p99", at_most=25, unit="ms"),
)


class Times(msgspec.Struct, frozen=True):
    """How long messages took, in milliseconds, and what measuring cost."""

    p50: float
    p99: float
    cpu: float


def measure(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure the time that messages take."""
    with broker(directory) as ours:
        ours.make_queue("q")
        yield from collect(_ROWS, (_round(ours) for _ in range(rounds)))


def _round(ours: Server) -> tuple[Sample, ...]:
    times = msgspec.json.decode(run_module("bench.delivery", str(ours.port)), type=Times)
    return Sample(times.p50, times.cpu), Sample(times.p99, times.cpu)


class _Client:
    """A connection that posts JSON and waits for the answer."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> _Client:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def post(self, path: str, body: object) -> Any:
        self._writer.write(post(self._port, path, msgspec.json.encode(body)))
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 20"):
            raise RuntimeError(head.decode())
        length = int(head.split(b"content-length: ")[1].split(b"\r")[0])
        return msgspec.json.decode(await self._reader.readexactly(length))


async def _consume(port: int, times: list[float], done: asyncio.Event) -> None:
    async with _Client(port) as client:
        while True:
            leased = await client.post("/queues/q/messages/lease", {"wait": 20})
            now = time.perf_counter()
            for message in leased["messages"]:
                times.append(now - float(message["content"]))
                await client.post("/messages/settle", {"ack": [message["receipt"]]})
            if len(times) == _MESSAGES:
                done.set()


async def _publish(port: int) -> None:
    async with _Client(port) as client:
        start = time.perf_counter()
        for number in range(_MESSAGES):
            await asyncio.sleep(start + number / RATE - time.perf_counter())
            content = repr(time.perf_counter())
            await client.post("/queues/q/messages", {"content": content})


async def _main(port: int) -> Times:
    times: list[float] = []
    done = asyncio.Event()
    consumers = [asyncio.ensure_future(_consume(port, times, done)) for _ in range(_CONSUMERS)]
    start, cpu = time.perf_counter(), time.process_time()
    await _publish(port)
    await done.wait()
    cpu = (time.process_time() - cpu) / (time.perf_counter() - start)
    for consumer in consumers:
        consumer.cancel()
    await asyncio.wait(consumers)
    times.sort()
    return Times(times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000, cpu)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_main(int(sys.argv[1])))))
