"""What the machine that the broker runs on looks like, as far as Python alone can tell."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

import msgspec


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine and this process now; None stands for what cannot be told here."""

    python_version: str
    platform: str
    cpu_count: int | None
    load_average: tuple[float, float, float] | None
    process_id: int
    process_memory_bytes: int | None
    disk_total_bytes: int | None
    disk_free_bytes: int | None


def look_at_machine(data_dir: Path) -> Machine:
    """Describe the machine; the disk is the one that `data_dir` is on. Reads files: may block."""
    total, free = _disk(data_dir)
    return Machine(
        python_version=platform.python_version(),
        platform=platform.platform(),
        cpu_count=os.cpu_count(),
        load_average=_load_average(),
        process_id=os.getpid(),
        process_memory_bytes=_memory(),
        disk_total_bytes=total,
        disk_free_bytes=free,
    )


def _load_average() -> tuple[float, float, float] | None:
    try:
        return os.getloadavg()
    except (AttributeError, OSError):
        return None


def _memory() -> int | None:
    try:
        resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return resident_pages * os.sysconf("SC_PAGE_SIZE")


def _disk(path: Path) -> tuple[int, int] | tuple[None, None]:
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None, None
    return usage.total, usage.free
