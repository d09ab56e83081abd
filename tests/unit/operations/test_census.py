import asyncio
from functools import partial
from types import SimpleNamespace

import pytest

from broker import TooManyQueues
from broker.operations.census import Census
from broker.testing import ManualClock


class Listed:
    """A storage of which only the list of queues is asked for, page by page, and may wait."""

    def __init__(self, count, *, shared=False):
        self.names = [f"q{number:05}" for number in range(count)]
        self.capabilities = frozenset({"shared"} if shared else ())
        self.pages = 0
        self.before_page = {}

    async def get_queues(self, *, prefix, after, limit, now):
        self.pages += 1
        if self.pages in self.before_page:
            await self.before_page[self.pages]()
        page = [name for name in self.names if after is None or name > after][:limit]
        return [status(name) for name in page]


def status(name):
    return SimpleNamespace(queue=SimpleNamespace(name=name))


def make(count, *, most, shared=False):
    storage = Listed(count, shared=shared)
    clock = ManualClock()
    return Census(storage, clock, most=most), storage, clock


async def add(census, storage, *, fails=False):
    async with census.room():
        await asyncio.sleep(0)
        if fails:
            raise OSError
        storage.names.append(f"r{len(storage.names):05}")
        census.note(1)


def drop(census, storage):
    storage.names.pop(0)
    census.note(-1)


async def test_queues_are_made_until_there_are_as_many_as_there_may_be():
    census, storage, _ = make(8, most=10)
    await add(census, storage)
    await add(census, storage)

    with pytest.raises(TooManyQueues) as refused:
        await add(census, storage)

    assert str(refused.value) == (
        "there are all the 10 queues that broker.max_queues allows; "
        "delete one, or have the limit raised"
    )
    assert len(storage.names) == 10


async def test_a_queue_that_is_dropped_makes_room():
    census, storage, _ = make(9, most=10)
    await add(census, storage)
    drop(census, storage)

    await add(census, storage)

    with pytest.raises(TooManyQueues):
        await add(census, storage)


async def test_one_that_could_not_be_made_leaves_its_room():
    census, storage, _ = make(9, most=10)
    for _ in range(3):
        with pytest.raises(OSError):
            await add(census, storage, fails=True)

    await add(census, storage)


@pytest.mark.parametrize("shared", [False, True])
async def test_of_fifty_at_once_as_many_are_made_as_there_is_room_for(shared):
    census, storage, _ = make(0, most=10, shared=shared)
    storage.before_page[1] = partial(asyncio.sleep, 0)

    results = await asyncio.gather(
        *(add(census, storage) for _ in range(50)), return_exceptions=True
    )

    assert len(storage.names) == 10
    assert sum(isinstance(result, TooManyQueues) for result in results) == 40
    assert storage.pages == 1


async def test_queues_are_counted_once_however_many_there_are():
    census, storage, clock = make(2500, most=5000)
    for _ in range(100):
        await add(census, storage)
        clock.advance(60)

    assert storage.pages == 3


async def test_with_other_brokers_queues_are_counted_again_every_second():
    census, storage, clock = make(9, most=10, shared=True)
    await add(census, storage)
    storage.names.pop()  # by another broker
    with pytest.raises(TooManyQueues):
        await add(census, storage)
    clock.advance(0.999)
    with pytest.raises(TooManyQueues):
        await add(census, storage)
    assert storage.pages == 1

    clock.advance(0.001)
    await add(census, storage)

    assert storage.pages == 2


@pytest.mark.parametrize("page", [1, 2, 3])
async def test_a_drop_while_queues_are_counted_is_counted_once(page):
    census, storage, _ = make(2500, most=2501)

    async def disturb():
        drop(census, storage)

    storage.before_page[page] = disturb

    await add(census, storage)  # 2500
    await add(census, storage)  # 2501
    with pytest.raises(TooManyQueues):
        await add(census, storage)


async def test_a_count_that_fails_is_taken_by_the_next():
    census, storage, _ = make(9, most=10)

    async def fail():
        raise OSError

    storage.before_page[1] = fail
    with pytest.raises(OSError):
        await add(census, storage)

    await add(census, storage)


async def test_a_count_that_its_client_does_not_wait_for_is_taken_by_the_next():
    census, storage, _ = make(9, most=10)
    storage.before_page[1] = asyncio.Event().wait
    first = asyncio.ensure_future(add(census, storage))
    second = asyncio.ensure_future(add(census, storage))
    await asyncio.sleep(0)
    first.cancel()

    await second

    assert len(storage.names) == 10
