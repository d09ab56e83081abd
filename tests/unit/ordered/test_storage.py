"""The ordered storage, where the contract of storages leaves it free, or does not reach."""

from collections.abc import Mapping

import pytest

from broker import Counts, LeaseResult, Maintenance, OrderedStorage, StorageFull
from broker.ordered import browsing, keys, maintenance
from broker.testing import ManualClock, Workbench
from sorted_dict import Disk, SortedDict


class Roomy(SortedDict):
    """Counts its commits, and has as much room as a test says."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self.commits = 0
        self.scanned = 0
        self.room_for_messages = 1_000_000

    def describe(self) -> str:
        return "a dict"

    def scan(self, start, stop):
        for pair in super().scan(start, stop):
            self.scanned += 1
            yield pair

    def commit(self, changes: Mapping[bytes, bytes | None]) -> None:
        super().commit(changes)
        self.commits += 1

    def demand_room(self, size: int) -> None:
        if size > self.room_for_messages:
            raise StorageFull("no room for new messages")


@pytest.fixture
def store() -> Roomy:
    return Roomy(Disk())


@pytest.fixture
def bench(store: Roomy) -> Workbench:
    return Workbench(lambda: OrderedStorage(store), ManualClock())


def test_it_describes_its_store(bench: Workbench) -> None:
    assert bench.storage.describe() == "a dict, what was answered survives a crash"


async def test_what_changes_nothing_commits_nothing(bench: Workbench, store: Roomy) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put(delay=60)
        await bench.maintain()
        before = store.commits
        assert await bench.take() == []
        assert await bench.settle() == []
        await bench.maintain()
        await bench.everything()
        assert await bench.delete(ids=(4711,)) == 0
        assert store.commits == before


async def test_a_ping_commits_something_and_changes_nothing(bench: Workbench, store: Roomy) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put()
        before, commits = await bench.everything(), store.commits
        await bench.storage.ping()
        assert (await bench.everything(), store.commits) == (before, commits + 1)


async def test_a_ping_fails_while_there_is_no_room(bench: Workbench, store: Roomy) -> None:
    async with bench:
        store.room_for_messages = -1
        with pytest.raises(StorageFull):
            await bench.storage.ping()
        store.room_for_messages = 0
        await bench.storage.ping()


async def test_looks_commit_nothing_whatever_they_notice(bench: Workbench, store: Roomy) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put_many(2, delay=10)
        await bench.put()
        await bench.take(seconds=10)
        bench.advance(10)
        before = store.commits
        for _ in range(2):
            assert await bench.counts() == Counts(pending=3)
            assert len(await bench.browse_ids("q", "pending")) == 3
        assert store.commits == before


async def test_publishing_is_refused_without_room_and_settling_is_not(
    bench: Workbench, store: Roomy
) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put_many(2)
        store.room_for_messages = 0
        with pytest.raises(StorageFull):
            await bench.put()
        first, second = await bench.take()
        with pytest.raises(StorageFull):
            await bench.settle(bench.op(first, "ack"), publish=[bench.message()])
        assert (await bench.ack(first)).outcome == (await bench.ack(second)).outcome == "ok"
        assert await bench.counts() == Counts(processed=2)


async def test_counts_are_right_when_more_is_due_than_one_look_notices(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.ordered.transaction.CHUNK", 2)
    async with bench:
        await bench.make_queue(max_in_flight=5)
        await bench.put_many(5)
        await bench.take(seconds=10)
        await bench.put_many(5, delay=10)
        bench.advance(10)
        assert await bench.counts() == Counts(pending=10)
        assert (await bench.totals()).lapsed == 5
        assert [len(await bench.take()) for _ in range(3)] == [4, 1, 0]


async def test_a_long_search_is_done_in_slices(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "SLICE", 3)
    async with bench:
        await bench.make_queue()
        ids = await bench.put_many(25)
        found = [message_id for number, message_id in enumerate(ids) if b"1" in b"%d" % number]
        assert await bench.browse_ids(text="1") == found
        page = await bench.page(queue="q", text="1", limit=len(found))
        assert (len(page.messages), page.after) == (len(found), None)
        page = await bench.page(queue="q", text="1", limit=4)
        assert ([message.id for message in page.messages], page.after) == (found[:4], found[3])
        assert await bench.browse_ids(text="1", after=found[3]) == found[4:]
        assert (await bench.page(queue="q", text="nothing")).after is None
        page = await bench.page(queue="q", limit=24)
        assert page.after == ids[23]


async def test_a_dropped_queue_is_gone_at_once_and_removed_bit_by_bit(
    bench: Workbench, store: Roomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "SWEPT", 1)
    async with bench:
        await bench.make_queue()
        before = len(store.disk)
        ids = await bench.put_many(10, group="g", dedup_key=None, ttl=60)
        await bench.put(dedup_key="k")
        await bench.take_one()
        assert await bench.storage.drop_queue("q")
        assert (await bench.page(ids=tuple(ids))).messages == []
        assert (await bench.page()).messages == []
        again = await bench.make_queue()
        fresh = await bench.put(dedup_key="k")
        rounds = 0
        while (await bench.maintain(limit=5)).next_due == bench.now:
            rounds += 1
        assert rounds > 5
        assert await bench.take_ids() == [fresh]
        assert await bench.delete(queue="q") == 1
        assert await bench.storage.drop_queue("q")
        while (await bench.maintain(limit=5)).next_due == bench.now:
            pass
        assert again.id == 2
        assert [key for key in store.disk if key != keys.IDS] == []
        assert before > 1


async def test_maintain_looks_only_at_queues_where_something_is_due(
    bench: Workbench, store: Roomy
) -> None:
    async with bench:
        for number in range(100):
            await bench.make_queue(f"q{number}")
            await bench.put(queue=f"q{number}", ttl=1000 + number)
        await bench.maintain()
        store.scanned = 0
        done = await bench.maintain()
        assert done == Maintenance(next_due=bench.now + 1_000_000)
        assert store.scanned < 10
        bench.advance(1000)
        store.scanned = 0
        done = await bench.maintain()
        assert [one.queue for one in done.ended] == ["q0"]
        assert done.next_due == bench.now + 1000
        assert store.scanned < 20


async def test_dedup_keys_are_forgotten_when_their_time_is_over(
    bench: Workbench, store: Roomy
) -> None:
    def kept() -> int:
        return sum(
            key[9:10] in {keys.DEDUP, keys.DEDUP_END} for key in store.disk if key[:1] == b"i"
        )

    async with bench:
        await bench.make_queue(dedup_window=10, retain_processed=5)
        for number in range(10):
            await bench.put(dedup_key=f"{number}")
        assert kept() == 20
        bench.advance(10)
        await bench.put(dedup_key="new")
        assert kept() == 2 * (10 + 1 - 4)
        for lease in await bench.take():
            await bench.ack(lease)
        bench.advance(10)
        await bench.maintain()
        assert kept() == 0


async def test_leases_of_a_clock_that_was_put_back_begin_anew(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one(seconds=30)
        await bench.do(lease, "extend", seconds=60)
        await bench.storage.close()
        bench.clock = ManualClock(start=bench.now - 3_600_000)
        await bench.reopen()
        done = await bench.maintain()
        assert done.next_due == bench.now + 60_000
        bench.advance(60)
        assert (await bench.take_one()).message.delivery_count == 2


async def test_a_lease_gives_up_in_front_of_a_long_group_that_is_over_and_comes_back(
    bench: Workbench,
) -> None:
    async with bench:
        await bench.make_queue()
        over = await bench.put_many(30, group="g", priority=9, ttl=10)
        head = await bench.put(group="g", priority=9)
        plain = await bench.put(priority=0)
        bench.advance(10)
        first = await bench.lease(limit=2)
        assert (first.leases, first.next_visible_at) == ([], bench.now)
        second = await bench.lease(limit=2)
        assert [lease.message.id for lease in second.leases] == [head, plain]
        assert [one.id for one in (*first.ended, *second.ended)] == over


async def test_a_queue_without_room_in_flight_is_not_gone_through(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.ordered.transaction.CHUNK", 2)
    async with bench:
        await bench.make_queue(max_in_flight=1)
        await bench.put()
        lease = await bench.take_one(seconds=60)
        await bench.put_many(10, delay=10)
        bench.advance(10)
        result = await bench.lease()
        assert result == LeaseResult(leases=[], next_visible_at=lease.message.visible_at)
        await bench.ack(lease)
        assert len((await bench.lease()).leases) == 1


async def test_the_empty_group_is_a_group(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        first, second = await bench.put_many(2, group="")
        assert await bench.take_ids() == [first]
        bench.advance(30)
        assert await bench.take_ids() == [first]
        assert second > first


async def test_a_key_that_was_used_anew_is_not_forgotten_with_the_old_one(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue(dedup_window=10)
        for number in range(10):
            await bench.put(dedup_key=f"{number}")
        bench.advance(10)
        again = await bench.put(dedup_key="9")
        for number in range(5):
            await bench.put(dedup_key=f"other {number}")
        assert await bench.put(dedup_key="9") == again


async def test_maintain_is_due_while_some_are_left_that_were_delivered_often_enough(
    bench: Workbench,
) -> None:
    async with bench:
        await bench.make_queue(max_deliveries=1, retain_failed=None, max_messages=100)
        await bench.put_many(5)
        await bench.take(seconds=30)
        bench.advance(30)
        await bench.put()  # it notices the lapses, to know how many are pending
        rounds = [await bench.maintain(limit=2) for _ in range(3)]
        assert [len(done.ended) for done in rounds] == [2, 2, 1]
        assert [done.next_due for done in rounds] == [bench.now, bench.now, None]


async def test_what_was_noted_too_early_hides_nothing_that_is_due_sooner(bench: Workbench) -> None:
    async with bench:
        for name in ("a", "b"):
            await bench.make_queue(name)
            await bench.put(queue=name)
        await bench.maintain()
        await bench.do(await bench.take_one("a", seconds=10), "extend", seconds=100)
        await bench.take_one("b", seconds=20)
        assert (await bench.maintain()).next_due == bench.now + 20_000
