"""The clock: steps of the system's own do not reach it."""

import asyncio
import logging
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace

import pytest

from broker import Clock, PluginContext
from broker.testing import ManualClock

SECOND = 1_000_000_000
HOUR = 3600 * SECOND


@pytest.mark.parametrize("step", [HOUR, -HOUR, -24 * HOUR])
def test_a_step_of_the_system_clock_neither_ends_nor_prolongs_anything(monkeypatch, step):
    system = SimpleNamespace(wall=1_700_000_000 * SECOND, monotonic=50 * SECOND)
    source = SimpleNamespace(time_ns=lambda: system.wall, monotonic_ns=lambda: system.monotonic)
    monkeypatch.setattr("broker.context.time", source)
    clock = Clock()
    system.wall += step
    assert clock.now() == 1_700_000_000_000

    system.wall += 30 * SECOND
    system.monotonic += 30 * SECOND
    assert clock.now() == 1_700_000_030_000
    assert Clock().now() == (system.wall // 1_000_000)  # the next start follows it


@pytest.mark.parametrize("make", [Clock, ManualClock])
@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_timer_knows_nothing_of_the_request_that_set_it(make, seconds):
    clock, of_request, seen = make(), ContextVar("of_request", default=None), asyncio.Queue()
    of_request.set("r-1")
    due = clock.now() + (seconds * 1000 if make is ManualClock else seconds)
    clock.call_at(due, lambda: seen.put_nowait(of_request.get()))
    if make is ManualClock:
        clock.advance(seconds)

    assert await seen.get() is None


def context():
    return PluginContext(
        name="acme",
        config=None,
        logger=logging.getLogger("broker.plugins.acme"),
        clock=ManualClock(),
        data_dir=Path(),
    )


def test_what_hooks_share_is_made_once_for_a_context():
    first, second = context(), context()

    def make(plugin):
        return [plugin]

    assert first.once(make) is first.once(make)
    assert first.once(make)[0] is first
    assert second.once(make)[0] is second
    assert first.once(lambda plugin: plugin.name) == "acme"
