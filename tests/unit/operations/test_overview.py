import asyncio
from types import SimpleNamespace

import pytest

from broker.operations.overview import LASTS_MS, PAGE, PAUSE, Lookout
from broker.testing import ManualClock


class Listed:
    """A storage of which only the list of queues is asked for."""

    def __init__(self, clock, count=3):
        self.clock = clock
        self.count = count
        self.pages = 0
        self.seconds = 0
        self.free = asyncio.Event()
        self.free.set()

    async def get_queues(self, *, after, limit, now):
        self.pages += 1
        await self.free.wait()
        self.clock.advance(self.seconds)
        names = [f"q{number:05}" for number in range(self.count)]
        page = [name for name in names if after is None or name > after][:limit]
        return [SimpleNamespace(queue=SimpleNamespace(name=name)) for name in page]


def make(count=3):
    clock = ManualClock()
    storage = Listed(clock, count)
    return Lookout(storage, clock), storage, clock


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE])
async def test_all_queues_are_seen(count):
    lookout, _, clock = make(count)
    overview = await lookout.overview()

    names = [status.queue.name for status in overview.queues]
    assert names == [f"q{number:05}" for number in range(count)]
    assert overview.at == clock.now()


async def test_a_look_is_good_for_a_second():
    lookout, storage, clock = make()
    first = await lookout.overview()
    clock.advance(LASTS_MS / 1_000 - 0.001)
    assert await lookout.overview() is first
    clock.advance(0.001)
    assert await lookout.overview() is not first
    assert storage.pages == 2


async def test_who_asks_at_the_same_time_shares_a_look():
    lookout, storage, _ = make()
    storage.free.clear()
    asking = [asyncio.ensure_future(lookout.overview()) for _ in range(10)]
    await asyncio.sleep(0)
    asking[0].cancel()  # whoever looks for the others may go
    storage.free.set()
    await asyncio.wait(asking)

    assert asking[0].cancelled()
    assert len({id(task.result()) for task in asking[1:]}) == 1
    assert storage.pages == 2


async def test_a_slow_storage_is_given_peace():
    lookout, storage, clock = make()
    storage.seconds = 2
    first = await lookout.overview()
    clock.advance(2 * PAUSE - 0.001)
    assert await lookout.overview() is first
    clock.advance(0.001)
    assert await lookout.overview() is not first


async def test_a_look_that_fails_is_tried_again():
    lookout, storage, _ = make()
    storage.seconds = "none"
    with pytest.raises(TypeError):
        await lookout.overview()
    storage.seconds = 0

    assert len((await lookout.overview()).queues) == 3
