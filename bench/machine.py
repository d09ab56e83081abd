"""What machine the figures come from."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from pathlib import Path
from statistics import median

from bench.figures import CORES

_SYNCS = 50


def describe(directory: Path) -> str:
    """Return one line: processor, cores, versions, what else runs, how long an fsync takes."""
    parts = (
        f"{_processor()}, {CORES} cores",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        f"load average {os.getloadavg()[0]:.1f}",
        f"fsync of 4 KiB {_sync_seconds(directory) * 1000:.2f} ms",
    )
    return "; ".join(parts)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _sync_seconds(directory: Path) -> float:
    times = []
    with (directory / "synced").open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(4096))
            start = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return median(times)
