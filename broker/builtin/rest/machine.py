"""What the machine and this process are at, in the words of the earlier API."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import psutil

from broker import Clock

HOLDS_MS = 1000
"""How long a look is good for: what is used is told of the time since the one before, and would be
noise over less."""

MB = 1024**2
GB = 1024**3

T = TypeVar("T")


class DiskView(msgspec.Struct, frozen=True, kw_only=True):
    """The disk that the data directory is on."""

    total_gb: float
    """How large it is."""
    used_gb: float
    """How much is used of it."""
    free_gb: float
    """How much is left for this process."""
    percent: float
    """How much is used, of a hundred."""


class MachineView(msgspec.Struct, frozen=True, kw_only=True):
    """The machine and this process now; None stands for what cannot be told here. Percents of a
    processor are since the look before; a process that keeps two busy is at 200."""

    python_version: str
    """Of the interpreter."""
    platform: str
    """The operating system."""
    cpu_percent: float | None
    """How busy all processors together are."""
    memory_percent: float | None
    """How much of the memory cannot be had."""
    memory_total_gb: float | None
    """How much memory the machine has."""
    memory_used_gb: float | None
    """How much of it is used."""
    memory_available_gb: float | None
    """How much can be had at once."""
    disk_usage: dict[str, DiskView] | None
    """By what is there: `data_dir`."""
    process_cpu_percent: float | None
    """How busy this process is."""
    process_memory_mb: float | None
    """The memory of this process."""
    process_memory_rss_mb: float | None
    """The same by its other name."""
    load_average: tuple[float, float, float] | None
    """How many processes could run, over 1, 5 and 15 minutes."""
    cpu_count_logical: int | None
    """How many processors there are."""
    open_file_descriptors: int | None
    """Files and connections that this process has open."""
    thread_count: int | None
    """Threads of this process."""


class Machine:
    """Looks at the machine in a thread, once a second however many ask."""

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._process = psutil.Process()
        self._process_used = _told(self._process.cpu_percent)  # what comes next is since now
        self._used = _told(_look_at_processors)
        self._looking: asyncio.Future[MachineView] | None = None
        self._holds_until = 0

    async def look(self) -> MachineView:
        """Describe the machine; the disk is the one that the data directory is on."""
        if self._looking is None or (self._looking.done() and self._is_old()):
            self._looking = asyncio.ensure_future(self._look_in_a_thread())
        # Shielded: a thread that a disk keeps waiting would go on, and the next asker take another.
        return await asyncio.shield(self._looking)

    def _is_old(self) -> bool:
        return self._clock.now() >= self._holds_until

    async def _look_in_a_thread(self) -> MachineView:
        seen = await asyncio.to_thread(self._look)
        self._holds_until = self._clock.now() + HOLDS_MS
        return seen

    def _look(self) -> MachineView:
        memory = _told(psutil.virtual_memory)
        process = self._process
        resident = _told(lambda: round(process.memory_info().rss / MB, 2))
        return MachineView(
            python_version=platform.python_version(),
            platform=platform.platform(),
            cpu_percent=self._cpu_percent(),
            memory_percent=None if memory is None else memory.percent,
            memory_total_gb=None if memory is None else _in_gb(memory.total),
            memory_used_gb=None if memory is None else _in_gb(memory.used),
            memory_available_gb=None if memory is None else _in_gb(memory.available),
            disk_usage=_told(lambda: _disk_usage(self._data_dir)),
            process_cpu_percent=_told(process.cpu_percent),
            process_memory_mb=resident,
            process_memory_rss_mb=resident,
            load_average=_told(psutil.getloadavg),
            cpu_count_logical=_told(psutil.cpu_count),
            open_file_descriptors=_told(process.num_fds),
            thread_count=_told(process.num_threads),
        )

    def _cpu_percent(self) -> float | None:
        """Not psutil's own, which remembers for each thread what was before."""
        before, self._used = self._used, _told(_look_at_processors)
        if before is None or self._used is None or self._used.total <= before.total:
            return None
        busy = (self._used.busy - before.busy) / (self._used.total - before.total)
        return round(100 * min(max(busy, 0), 1), 1)


class _Processors(NamedTuple):
    """How many seconds all processors were busy, and were there at all."""

    busy: float
    total: float


def _look_at_processors() -> _Processors:
    times = psutil.cpu_times()._asdict()
    # Linux counts the time of guests a second time, in `user` and `nice`.
    total = sum(seconds for name, seconds in times.items() if not name.startswith("guest"))
    return _Processors(total - times["idle"] - times.get("iowait", 0), total)


def _disk_usage(path: Path) -> dict[str, DiskView]:
    """By where it is mounted; another that hangs, as network disks do, is not asked."""
    path = path.resolve()
    mounted = next(one for one in (path, *path.parents) if one.is_mount())
    usage = psutil.disk_usage(str(path))
    view = DiskView(
        total_gb=_in_gb(usage.total),
        used_gb=_in_gb(usage.used),
        free_gb=_in_gb(usage.free),
        percent=usage.percent,
    )
    return {str(mounted): view}


def _in_gb(count: int) -> float:
    return round(count / GB, 2)


def _told(look: Callable[[], T]) -> T | None:
    try:
        return look()
    except (psutil.Error, OSError, NotImplementedError, RuntimeError):
        return None  # of this platform, or in this container
