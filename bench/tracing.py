"""What it costs a publish that requests are traced, and that they could be and are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.figures import Measured, Row, Sample, collect
from bench.requests import Found
from bench.servers import run_module

_ROWS = (
    Row(name="publish with traces, not recorded / without", at_most=1.5),
    Row(name="publish with traces, recorded / without", at_most=2),
    Row(name="  a publish over the routes, in memory, without", unit="µs"),
)


def measure(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure publishes over the routes, without an HTTP server, a disk and a collector."""
    yield from collect(_ROWS, (_round(directory) for _ in range(rounds)))


def _round(directory: Path) -> tuple[Sample, ...]:
    found = msgspec.json.decode(run_module("bench.requests", str(directory)), type=Found)
    return (
        Sample(found.unrecorded / found.untraced),
        Sample(found.recorded / found.untraced),
        Sample(found.untraced * 1e6),
    )
