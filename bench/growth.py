"""How much memory a broker takes that publishes and publishes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.figures import Measured, Row, Sample
from bench.servers import broker

PUBLISHES = 1_000_000
_WARM_UP = 20_000
"""Past the start, when caches fill that have a bound."""
_ROW = Row(
    name="memory, 1 000 000 publishes of 1 KiB",
    at_most=64,
    unit="MiB",
)


def measure(directory: Path, _rounds: int) -> Iterator[Measured]:
    """Measure once, because it takes some minutes: each publish is a request of its own."""
    message = {"content": "x" * 1024}
    with broker(directory) as ours:
        ours.make_queue("q")
        ours.load("/queues/q/messages", message, connections=32, answers=_WARM_UP)
        before = ours.resident_mib()
        done = ours.load("/queues/q/messages", message, connections=32, answers=PUBLISHES)
        yield Measured(_ROW, [Sample(ours.resident_mib() - before, done.cpu)])
