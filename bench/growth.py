"""How much memory a broker takes that publishes and publishes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.figures import Measured, Row, Sample
from bench.servers import broker

PUBLISHES = 1_000_000
_BATCH = 100
_ROW = Row(
    name="memory, 1 000 000 publishes of 1 KiB",
    at_most=64,
    unit="MiB",
)


def measure(directory: Path, _rounds: int) -> Iterator[Measured]:
    """Measure once: it takes its time."""
    batch = {"messages": [{"content": "x" * 1024}] * _BATCH}
    load = {"connections": 8, "answers": PUBLISHES // _BATCH}
    with broker(directory) as ours:
        ours.make_queue("q")
        # Past the start, when caches fill that have a bound.
        ours.load("/queues/q/messages/batch", batch, connections=8, answers=200)
        before = ours.resident_mib()
        done = ours.load("/queues/q/messages/batch", batch, **load)
        yield Measured(_ROW, [Sample(ours.resident_mib() - before, done.cpu)])
