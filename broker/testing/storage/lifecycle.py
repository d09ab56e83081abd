"""Opening and closing, and what a storage that declares it keeps or shares."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, get_args

import pytest

from broker.errors import Closed, StorageLocked
from broker.models import Counts, MessageQuery, PublishResult, QueueSpec, Settle
from broker.storage import Capability, Storage
from broker.testing.contract import lacks, needs
from broker.testing.storage.bench import Workbench

Operation: TypeAlias = Callable[[Storage, int], Coroutine[Any, Any, Any]]

OPERATIONS: dict[str, Operation] = {
    "put_queue": lambda storage, now: storage.put_queue(QueueSpec("q"), expect=None, now=now),
    "get_queues": lambda storage, now: storage.get_queues(now=now),
    "drop_queue": lambda storage, _: storage.drop_queue("q"),
    "publish": lambda storage, now: storage.publish([], now=now),
    "lease": lambda storage, now: storage.lease(
        "q", limit=1, lease_until=now + 1, owner="tester", now=now
    ),
    "settle": lambda storage, now: storage.settle([Settle(id=1, queue="q", kind="ack")], now=now),
    "browse": lambda storage, now: storage.browse(MessageQuery(queue="q"), now=now),
    "browse_each": lambda storage, now: storage.browse_each([MessageQuery(queue="q")], now=now),
    "bulk": lambda storage, now: storage.bulk(MessageQuery(queue="q"), "delete", now=now, limit=1),
    "maintain": lambda storage, now: storage.maintain(now=now, limit=1),
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS)


class Lifecycle:
    """The rows about open, close, and the capabilities durable, shared and watch."""

    async def test_capabilities_are_those_that_the_broker_knows(self, bench: Workbench) -> None:
        assert bench.storage.capabilities <= set(get_args(Capability))

    @every_operation
    async def test_before_open_everything_raises_closed(
        self, bench: Workbench, operation: str
    ) -> None:
        with pytest.raises(Closed):
            await OPERATIONS[operation](bench.another(), bench.now)

    @every_operation
    async def test_after_close_everything_raises_closed(
        self, bench: Workbench, operation: str
    ) -> None:
        await bench.make_queue()
        await bench.put()
        await bench.storage.close()
        with pytest.raises(Closed):
            await OPERATIONS[operation](bench.storage, bench.now)

    async def test_what_was_begun_ends_when_the_storage_closes(self, bench: Workbench) -> None:
        await bench.make_queue()
        publishing = asyncio.create_task(bench.publish(bench.message()))
        await asyncio.sleep(0)
        await bench.storage.close()
        [result] = await asyncio.gather(publishing, return_exceptions=True)
        assert isinstance(result, list | Closed)

    @needs("durable")
    async def test_everything_is_there_after_reopening(self, bench: Workbench) -> None:
        await bench.make_queue(max_messages=100)
        await bench.put_processed()
        await bench.put_failed()
        await bench.put(b"\x00\xff", headers={"ключ": "значение"}, ttl=60)
        await bench.take_one()
        await bench.put(delay=60)
        await bench.put(b"")
        before = await bench.everything()
        await bench.reopen()
        assert await bench.everything() == before

    @needs("durable")
    async def test_everything_is_there_after_a_crash(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_processed()
        await bench.put_failed()
        await bench.put(b"leased")
        lease = await bench.take_one()
        await bench.put(b"delayed", delay=60)
        before = await bench.everything()
        await bench.crash()
        assert await bench.everything() == before
        assert (await bench.ack(lease)).outcome == "ok"

    @needs("durable")
    async def test_a_lease_can_be_settled_after_reopening(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one(seconds=30)
        await bench.reopen()
        assert await bench.take() == []
        assert (await bench.ack(lease)).outcome == "ok"
        await bench.reopen()
        assert (await bench.ack(lease)).outcome == "ok"

    @needs("durable")
    async def test_a_lease_that_lapsed_meanwhile_is_delivered_again(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        await bench.take_one(seconds=30)
        await bench.storage.close()
        bench.advance(3600)
        await bench.reopen()
        assert await bench.counts() == Counts(pending=1)
        assert (await bench.take_one()).message.delivery_count == 2

    @needs("durable", "dedup")
    async def test_a_dedup_key_is_remembered_after_reopening(self, bench: Workbench) -> None:
        await bench.make_queue()
        first = await bench.put(dedup_key="k")
        await bench.reopen()
        [result] = await bench.publish(bench.message(dedup_key="k"))
        assert result == PublishResult(first, duplicate=True)

    @needs("durable", "priority")
    async def test_the_lease_order_is_the_same_after_reopening(self, bench: Workbench) -> None:
        await bench.make_queue()
        low, high, middle = [await bench.put(priority=priority) for priority in (0, 9, 4)]
        await bench.reopen()
        assert await bench.take_ids() == [high, middle, low]

    @needs("durable")
    async def test_ids_are_not_used_again_after_reopening(self, bench: Workbench) -> None:
        queue = await bench.make_queue()
        message_id = await bench.put()
        await bench.storage.drop_queue("q")
        await bench.reopen()
        assert (await bench.make_queue()).id != queue.id
        assert await bench.put() > message_id

    @lacks("durable")
    async def test_what_is_not_durable_is_kept_whole_or_not_at_all(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_processed()
        await bench.put()
        await bench.take_one()
        before = await bench.everything()
        await bench.reopen()
        after = await bench.everything()
        # A part would be worse than nothing: what was acked would come back, ids be given again.
        assert after in ([], before), "it does not declare durable, and a part came back"

    @needs("shared")
    async def test_two_storages_share_their_messages(self, bench: Workbench) -> None:
        other = bench.another()
        await other.open()
        try:
            await bench.make_queue()
            await other.publish([bench.message(b"shared")], now=bench.now)
            lease = await bench.take_one()
            assert lease.message.body == b"shared"
            settled = await other.settle([bench.op(lease, "ack")], now=bench.now)
            assert [result.outcome for result in settled.results] == ["ok"]
        finally:
            await other.close()

    @lacks("shared")
    async def test_a_second_storage_is_locked_out_or_has_data_of_its_own(
        self, bench: Workbench
    ) -> None:
        await bench.make_queue()
        other = bench.another()
        try:
            await other.open()
        except StorageLocked:
            pass
        else:
            found = await other.get_queues(now=bench.now)
            await other.close()
            assert found == [], (
                "it does not declare shared, yet a second one opened the same data: its open has "
                "to raise StorageLocked, so that two brokers do not spoil each other's work"
            )
        await bench.put()
        assert await bench.counts() == Counts(pending=1)

    @needs("watch")
    async def test_watch_tells_of_a_queue_with_new_work(self, bench: Workbench) -> None:
        await bench.make_queue()
        told = asyncio.ensure_future(anext(bench.storage.watch()))
        async with asyncio.timeout(30):
            # A watch may take a moment to begin, and what came before it is not told.
            while not told.done():
                await bench.put()
                await asyncio.sleep(0)
        assert await told == "q"

    @lacks("watch")
    async def test_an_undeclared_watch_is_not_implemented(self, bench: Workbench) -> None:
        with pytest.raises(NotImplementedError):
            bench.storage.watch()
