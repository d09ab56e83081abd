"""Publishing and leasing in front of a million messages, against an empty queue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from broker_storage_sqlite.storage import SQLiteStorage

from bench.figures import Measured, Row, Sample, collect
from bench.servers import Server, broker
from broker import NewMessage, QueuePolicy, QueueSpec

WAITING = 1_000_000
DELAYED = 100_000
_BATCH = 1000
_DAY_MS = 86_400_000
_ROWS = (
    Row(name="publish behind 1 100 000 / alone", at_least=0.80),
    Row(name="lease of 1 100 000 / alone", at_least=0.80),
)
_LOAD = {"connections": 32, "answers": 3000, "warm_up": 200}


def measure(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure both."""
    full, empty = directory / "full", directory / "empty"
    full.mkdir()
    empty.mkdir()
    asyncio.run(_fill(full / "broker.db"))
    with broker(full) as behind, broker(empty) as alone:
        alone.make_queue("q")
        yield from collect(_ROWS, (_round(behind, alone) for _ in range(rounds)))


def _round(behind: Server, alone: Server) -> tuple[Sample, ...]:
    samples = []
    for path, body in (("messages", {"content": "x" * 100}), ("messages/lease", {"limit": 1})):
        reference = alone.load(f"/queues/q/{path}", body, **_LOAD)
        measured = behind.load(f"/queues/q/{path}", body, **_LOAD)
        samples.append(Sample(measured.rate / reference.rate, measured.cpu))
    return tuple(samples)


async def _fill(path: Path) -> None:
    storage = SQLiteStorage(path, durability="os")
    await storage.open()
    try:
        now = time.time_ns() // 1_000_000
        await storage.put_queue(QueueSpec("q", QueuePolicy()), expect=0, now=now)
        for visible_at, count in ((now + _DAY_MS, DELAYED), (now, WAITING)):
            message = NewMessage(queue="q", body=b"x" * 100, visible_at=visible_at, expires_at=None)
            for _ in range(count // _BATCH):
                await storage.publish([message] * _BATCH, now=now)
    finally:
        await storage.close()
