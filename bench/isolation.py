"""What it costs that no plugin can hurt a publish: telling observers, asking interceptors, and
believing neither those nor the storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.figures import Measured, Row, Sample, collect
from bench.publishes import Found
from bench.servers import run_module

_ROWS = (
    Row(name="publish told in the loop / to nobody", at_most=1.25),
    Row(name="publish told in a thread / to nobody", at_most=2),
    Row(name="publish seen by an interceptor / by none", at_most=1.5),
    Row(name="a look at the answer / a publish", at_most=0.1),
    Row(name="  a publish in the core, in memory", unit="µs"),
)


def measure(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure publishes in the core, without HTTP and without a disk."""
    yield from collect(_ROWS, (_round(directory) for _ in range(rounds)))


def _round(directory: Path) -> tuple[Sample, ...]:
    found = msgspec.json.decode(run_module("bench.publishes", str(directory)), type=Found)
    return (
        Sample(found.in_loop / found.alone),
        Sample(found.in_thread / found.alone),
        Sample(found.intercepted / found.alone),
        Sample((found.guarded - found.bare) / found.alone),
        Sample(found.alone * 1e6),
    )
