import asyncio
import os
import threading
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from broker.builtin.rest.machine import DiskView, Machine
from broker.testing import ManualClock

Times = namedtuple("Times", "user nice system idle iowait guest guest_nice")
Bytes = namedtuple("Bytes", "total available percent used")
Disk = namedtuple("Disk", "total used free percent")
GB = 1024**3


@pytest.fixture
def times(monkeypatch):
    """What the processors did so far; a test puts something else there."""
    now = [Times(0, 0, 0, 0, 0, 0, 0)]
    monkeypatch.setattr(psutil, "cpu_times", lambda: now[0])
    return now


async def test_processors_are_told_of_since_the_look_before(times, tmp_path):
    clock = ManualClock()
    machine = Machine(tmp_path, clock)
    times[0] = Times(30, 0, 20, 40, 10, 0, 0)
    assert (await machine.look()).cpu_percent == 50.0
    times[0] = Times(55, 0, 45, 80, 20, 0, 0)
    clock.advance(1)
    assert (await machine.look()).cpu_percent == 50.0
    times[0] = Times(155, 0, 45, 80, 20, 100, 0)  # a guest's time is in that of users already
    clock.advance(1)
    assert (await machine.look()).cpu_percent == 100.0


async def test_processors_that_did_nothing_since_are_told_as_unknown(times, tmp_path):
    assert (await Machine(tmp_path, ManualClock()).look()).cpu_percent is None


async def test_memory_and_disk_are_told_in_gigabytes(monkeypatch, tmp_path):
    memory = Bytes(total=8 * GB, available=6 * GB, percent=25.0, used=GB // 2)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(psutil, "disk_usage", lambda path: Disk(4 * GB, GB, 3 * GB, 25.0))
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path.parent)

    seen = await Machine(tmp_path, ManualClock()).look()

    assert (seen.memory_total_gb, seen.memory_available_gb, seen.memory_used_gb) == (8, 6, 0.5)
    assert seen.memory_percent == 25.0
    assert seen.disk_usage == {
        str(tmp_path.parent): DiskView(total_gb=4.0, used_gb=1.0, free_gb=3.0, percent=25.0)
    }


async def test_this_process_is_told_of(tmp_path):
    seen = await Machine(tmp_path, ManualClock()).look()

    assert 1 < seen.process_memory_mb == seen.process_memory_rss_mb
    assert seen.thread_count >= 2  # it is looked at in one of its own
    assert seen.open_file_descriptors >= 3
    assert seen.cpu_count_logical == os.cpu_count()


async def test_what_a_platform_does_not_tell_is_null_and_the_rest_is_there(monkeypatch):
    def fail(*_):
        raise NotImplementedError

    for name in ("cpu_times", "virtual_memory", "getloadavg", "cpu_count"):
        monkeypatch.setattr(psutil, name, fail)
    for name in ("memory_info", "num_fds"):
        monkeypatch.setattr(psutil.Process, name, fail)

    seen = await Machine(Path("/nowhere/at/all"), ManualClock()).look()

    told = {name for name in seen.__struct_fields__ if getattr(seen, name) is not None}
    assert told == {"python_version", "platform", "thread_count"}


async def test_however_many_ask_there_is_one_look_a_second(times, monkeypatch, tmp_path):
    looks = []
    monkeypatch.setattr(psutil, "getloadavg", lambda: looks.append(1))
    clock = ManualClock()
    machine = Machine(tmp_path, clock)
    await asyncio.gather(*(machine.look() for _ in range(10)))
    clock.advance(0.999)
    await machine.look()
    assert len(looks) == 1
    clock.advance(0.001)
    await machine.look()
    assert len(looks) == 2


async def test_a_disk_that_hangs_keeps_one_thread_however_many_lose_patience(monkeypatch, tmp_path):
    begun, is_free, looks = asyncio.Event(), threading.Event(), []
    loop = asyncio.get_running_loop()

    def hang(_):
        looks.append(1)
        loop.call_soon_threadsafe(begun.set)
        assert is_free.wait(10)
        return Disk(4 * GB, GB, 3 * GB, 25.0)

    monkeypatch.setattr(psutil, "disk_usage", hang)
    machine = Machine(tmp_path, ManualClock())
    for _ in range(3):
        asking = asyncio.ensure_future(machine.look())
        await begun.wait()
        asking.cancel()
        await asyncio.wait([asking])
    asking = asyncio.ensure_future(machine.look())
    await asyncio.sleep(0)
    is_free.set()

    assert [one.percent for one in (await asking).disk_usage.values()] == [25.0]
    assert looks == [1]


async def test_a_look_that_failed_is_tried_again(monkeypatch, tmp_path):
    def fail():
        raise ZeroDivisionError

    machine = Machine(tmp_path, ManualClock())
    with monkeypatch.context() as patch:
        patch.setattr(psutil, "getloadavg", fail)
        with pytest.raises(ZeroDivisionError):
            await machine.look()

    assert (await machine.look()).load_average is not None
