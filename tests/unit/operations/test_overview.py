import asyncio
from types import SimpleNamespace

import pytest

from broker.models import Counts, Summary, Totals
from broker.operations.overview import LASTS_MS, PAUSE, Lookout
from broker.operations.paging import PAGE
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

    async def get_queues(self, *, prefix, after, limit, now):
        self.pages += 1
        await self.free.wait()
        self.clock.advance(self.seconds)
        names = [f"q{number:05}" for number in range(self.count)]
        page = [name for name in names if after is None or name > after][:limit]
        return [
            SimpleNamespace(
                queue=SimpleNamespace(name=name),
                counts=Counts(pending=self.pages),
                totals=Totals(published=2),
            )
            for name in page
        ]


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


async def test_a_summary_is_of_what_there_is_when_it_is_asked_for():
    lookout, _, _ = make()
    await lookout.overview()
    for pages in (2, 3):
        assert await lookout.summary() == Summary(
            queues=3, counts=Counts(pending=3 * pages), totals=Totals(published=6)
        )
    assert (await lookout.overview()).queues[0].counts.pending == 3  # which is as good for others


async def test_who_asks_for_a_summary_before_a_look_begins_shares_it():
    lookout, storage, _ = make()
    storage.free.clear()
    asked = asyncio.ensure_future(lookout.summary())
    await asyncio.sleep(0)
    later = [asyncio.ensure_future(lookout.summary()) for _ in range(10)]
    await asyncio.sleep(0)
    storage.free.set()

    first, *others = await asyncio.gather(asked, *later)

    assert (first.counts.pending, others[0].counts.pending) == (3, 6)
    assert len({id(summary) for summary in others}) == 1
    assert storage.pages == 2


async def test_a_summary_whose_look_was_cancelled_is_that_of_the_next():
    lookout, storage, _ = make()
    storage.free.clear()
    asked = [asyncio.ensure_future(lookout.summary()) for _ in range(2)]
    await asyncio.sleep(0)
    asked[0].cancel()
    storage.free.set()

    assert (await asked[1]).counts.pending == 6


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
async def test_a_summary_is_made_in_pieces_of_all_queues(monkeypatch, count):
    monkeypatch.setattr("broker.operations.summing.AT_ONCE", 2)
    lookout, _, _ = make(count)

    summary = await lookout.summary()

    assert (summary.queues, summary.totals) == (count, Totals(published=2 * count))
    assert summary.counts == Counts(pending=count)


async def test_others_have_their_turn_while_numbers_are_added_up(monkeypatch):
    monkeypatch.setattr("broker.operations.summing.AT_ONCE", 2)
    lookout, _, _ = make(20)
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count_turns())
    await lookout.summary()
    counting.cancel()

    assert turns >= 10
