import pytest

from broker.builtin.memory import MemoryStorage, maintenance
from broker.builtin.memory.queue import MemoryQueue
from broker.builtin.memory.storage import MAX_ENDED
from broker.testing import ManualClock, Workbench


async def test_a_lease_ends_no_more_than_a_bounded_number_and_says_that_there_is_more():
    async with Workbench(MemoryStorage, ManualClock()) as bench:
        await bench.make_queue()
        expired = await bench.put_many(MAX_ENDED + 5, ttl=10)
        live = await bench.put()
        bench.advance(10)

        first, second = await bench.lease(limit=1), await bench.lease(limit=1)

    assert (first.leases, first.next_visible_at) == ([], bench.now)
    assert [one.id for one in (*first.ended, *second.ended)] == expired
    assert len(first.ended) == MAX_ENDED
    assert [lease.message.id for lease in second.leases] == [live]


@pytest.fixture
def looked_at(monkeypatch):
    """The names of the queues that were looked at."""
    names, look = [], MemoryQueue.look_at_time

    def spy(self, now):
        names.append(self.queue.name)
        look(self, now)

    monkeypatch.setattr(MemoryQueue, "look_at_time", spy)
    return names


async def test_upkeep_looks_at_queues_in_which_something_happened_or_is_due(looked_at):
    async with Workbench(MemoryStorage, ManualClock()) as bench:
        for name in ("quiet", "busy", "ttl", "delay", "key", "lease", "retained"):
            await bench.make_queue(name, retain_processed=30)
        await bench.put(queue="ttl", ttl=10)
        await bench.put(queue="delay", delay=20)
        await bench.put(queue="key", dedup_key="k")
        await bench.put_processed("retained")
        await bench.put(queue="lease")
        await bench.take("lease", seconds=40)
        await bench.maintain()

        async def names():
            looked_at.clear()
            await bench.storage.maintain(now=bench.now, limit=1000)
            return [*looked_at]

        assert await names() == []
        await bench.put(queue="busy")
        assert (await names(), await names()) == (["busy"], [])
        for seconds, found in ((10, "ttl"), (10, "delay"), (10, "retained"), (10, "lease")):
            bench.advance(seconds)
            assert (found, await names(), await names()) == (found, [found], [])
        bench.advance(24 * 3600)
        assert "key" in await names()


async def test_upkeep_gives_up_for_once_after_many_queues_and_goes_on_with_the_others(monkeypatch):
    monkeypatch.setattr(maintenance, "MOST_QUEUES", 2)
    async with Workbench(MemoryStorage, ManualClock()) as bench:
        for name in "abcde":
            await bench.make_queue(name)
            await bench.put(queue=name, ttl=10)
        bench.advance(10)

        ended, due = [], []
        for _ in range(4):
            done = await bench.storage.maintain(now=bench.now, limit=1000)
            ended.append([one.queue for one in done.ended])
            due.append(done.next_due)
            await bench.make_queue("a")  # so that something happens there again and again

    assert ended == [["a", "b"], ["c", "d"], ["e"], []]
    assert due == [bench.now, bench.now, None, None]
