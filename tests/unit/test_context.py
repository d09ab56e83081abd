"""The clock: steps of the system's own do not reach it."""

from types import SimpleNamespace

import pytest

from broker import Clock

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
