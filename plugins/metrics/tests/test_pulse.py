"""How late the event loop is."""

import asyncio

from broker import Meter
from broker_metrics.pulse import EVERY_SECONDS, Pulse


class World:
    """A clock, and a sleep that takes as much longer than it should as the loop is late."""

    def __init__(self, *lags):
        self.now = 0.0
        self.meter = Meter()
        self.pulse = Pulse(self.meter, now=lambda: self.now, sleep=self._sleep)
        self.is_over = asyncio.Event()
        self._lags = [*lags]

    async def _sleep(self, seconds):
        if not self._lags:
            self.is_over.set()
            await asyncio.Event().wait()
        self.now += seconds + self._lags.pop(0)

    def lag(self):
        [shown] = self.meter.read(None)
        return shown.points[()]


async def test_what_the_loop_is_late_is_recorded():
    world = World(0, 0.03, 0.4, 60)
    world.pulse.open()
    await world.is_over.wait()
    await world.pulse.close()

    lag = world.lag()
    buckets = dict(zip([*lag.bounds, None], lag.counts, strict=True))
    assert {bound: count for bound, count in buckets.items() if count} == {
        0.001: 1,
        0.05: 1,
        0.5: 1,
        None: 1,
    }
    assert round(lag.sum, 6) == 60.43


async def test_a_loop_that_is_early_is_not_late():
    world = World(-EVERY_SECONDS / 10)
    world.pulse.open()
    await world.is_over.wait()
    await world.pulse.close()

    assert world.lag().sum == 0


async def test_it_ends_with_its_broker(broker_factory):
    config = {"plugins": {"metrics": {"listen": "127.0.0.1:0"}}}
    async with broker_factory(["metrics"], config=config):
        beating = [task for task in asyncio.all_tasks() if "Pulse" in repr(task.get_coro())]
        assert len(beating) == 1

    assert beating[0].cancelled()
    await World().pulse.close()  # harmless if it was never begun
