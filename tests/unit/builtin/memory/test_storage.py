from broker.builtin.memory import MemoryStorage
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
