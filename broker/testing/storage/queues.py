"""Queues: making, changing, listing and dropping them."""

from __future__ import annotations

import pytest

from broker.errors import QueueExists, QueueNotFound, VersionMismatch
from broker.models import Counts, Queue, QueuePolicy, QueueSpec, QueueStatus, Totals
from broker.testing.contract import needs
from broker.testing.storage.bench import Workbench

UNUSUAL = QueuePolicy(
    lease_seconds=1,
    max_deliveries=None,
    retry_base=0.5,
    retry_max=7,
    jitter=0,
    dead_letter_queue="elsewhere",
    dedup_window=0,
    default_delay=1.5,
    default_ttl=60,
    max_messages=1_000_000,
    max_bytes=2**63 - 1,
    overflow="drop_oldest",
    max_in_flight=5,
    max_message_bytes=100,
    retain_processed=None,
    retain_failed=0,
    paused=True,
)


class Queues:
    """The rows about put_queue, get_queues and drop_queue."""

    async def test_a_new_queue_has_its_policy_and_version_one(self, bench: Workbench) -> None:
        queue = await bench.storage.put_queue(QueueSpec("q", UNUSUAL), expect=None, now=bench.now)
        assert queue.id > 0
        assert queue == Queue(
            id=queue.id,
            name="q",
            policy=UNUSUAL,
            version=1,
            created_at=bench.now,
            updated_at=bench.now,
        )
        assert (await bench.status()).queue == queue

    @needs("groups")
    async def test_the_ordering_is_kept(self, bench: Workbench) -> None:
        await bench.make_queue(ordering="group_fifo")
        assert (await bench.status()).queue.policy == QueuePolicy(ordering="group_fifo")

    async def test_a_new_queue_is_empty(self, bench: Workbench) -> None:
        queue = await bench.make_queue()
        assert await bench.status() == QueueStatus(
            queue=queue, counts=Counts(), totals=Totals(), bytes=0, oldest_at=None
        )

    async def test_putting_a_queue_again_replaces_its_policy_whole(self, bench: Workbench) -> None:
        first = await bench.make_queue(lease_seconds=5, max_messages=3)
        bench.advance(1)
        second = await bench.make_queue(lease_seconds=6)
        assert second == Queue(
            id=first.id,
            name="q",
            policy=QueuePolicy(lease_seconds=6),
            version=2,
            created_at=first.created_at,
            updated_at=bench.now,
        )
        assert (await bench.status()).queue == second

    async def test_the_version_grows_also_when_nothing_changed(self, bench: Workbench) -> None:
        versions = [(await bench.make_queue()).version for _ in range(3)]
        assert versions == [1, 2, 3]

    async def test_changing_a_policy_leaves_the_messages(self, bench: Workbench) -> None:
        await bench.make_queue()
        message_id = await bench.put()
        await bench.make_queue(lease_seconds=1)
        assert await bench.browse_ids() == [message_id]

    async def test_expect_zero_makes_a_new_queue(self, bench: Workbench) -> None:
        queue = await bench.storage.put_queue(QueueSpec("q"), expect=0, now=bench.now)
        assert queue.version == 1

    async def test_expect_zero_refuses_a_queue_that_exists(self, bench: Workbench) -> None:
        before = await bench.make_queue()
        with pytest.raises(QueueExists, match=r'^there is a queue "q" already$'):
            await bench.storage.put_queue(QueueSpec("q", UNUSUAL), expect=0, now=bench.now)
        assert (await bench.status()).queue == before

    async def test_expecting_the_right_version_changes_the_queue(self, bench: Workbench) -> None:
        await bench.make_queue()
        for version in (1, 2):
            queue = await bench.storage.put_queue(
                QueueSpec("q", UNUSUAL), expect=version, now=bench.now
            )
            assert queue.version == version + 1

    async def test_expecting_another_version_changes_nothing(self, bench: Workbench) -> None:
        await bench.make_queue()
        before = await bench.make_queue()
        message = r'^queue "q" was expected at version 1, it is at version 2$'
        with pytest.raises(VersionMismatch, match=message):
            await bench.storage.put_queue(QueueSpec("q", UNUSUAL), expect=1, now=bench.now)
        assert (await bench.status()).queue == before

    async def test_expecting_a_version_of_no_queue_makes_none(self, bench: Workbench) -> None:
        message = r'^queue "q" was expected at version 1, there is none$'
        with pytest.raises(VersionMismatch, match=message):
            await bench.storage.put_queue(QueueSpec("q"), expect=1, now=bench.now)
        assert await bench.everything() == []

    async def test_queues_are_listed_in_code_point_order(self, bench: Workbench) -> None:
        names = ["b", "a", "Z", "a_b", "a.b", "a-b", "aB", "0", "ab", "a" * 255]
        for name in names:
            await bench.make_queue(name)
        assert await list_names(bench) == sorted(names)

    async def test_queues_are_found_by_name(self, bench: Workbench) -> None:
        for name in ("a", "b", "c"):
            await bench.make_queue(name)
        assert await list_names(bench, names=["c", "nowhere", "a"]) == ["a", "c"]
        assert await list_names(bench, names=[]) == []

    async def test_a_prefix_is_matched_literally(self, bench: Workbench) -> None:
        for name in ("a_b", "a_c", "axb", "A_b", "b"):
            await bench.make_queue(name)
        assert await list_names(bench, prefix="a_") == ["a_b", "a_c"]

    async def test_queues_are_listed_in_pages(self, bench: Workbench) -> None:
        for name in ("x1", "x2", "x3", "x4", "y"):
            await bench.make_queue(name)
        assert await list_names(bench, prefix="x", limit=3) == ["x1", "x2", "x3"]
        assert await list_names(bench, prefix="x", after="x3", limit=3) == ["x4"]
        assert await list_names(bench, prefix="x", after="x4", limit=3) == []

    async def test_a_page_may_continue_after_a_queue_that_is_gone(self, bench: Workbench) -> None:
        for name in ("a", "b", "c"):
            await bench.make_queue(name)
        await bench.storage.drop_queue("b")
        assert await list_names(bench, after="b") == ["c"]

    async def test_dropping_tells_whether_there_was_a_queue(self, bench: Workbench) -> None:
        await bench.make_queue()
        assert await bench.storage.drop_queue("q") is True
        assert await bench.storage.drop_queue("q") is False

    async def test_a_dropped_queue_takes_its_messages_along(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.make_queue("other")
        gone = await bench.put_many(3)
        kept = await bench.put(queue="other")
        [lease] = await bench.take(limit=1)
        await bench.storage.drop_queue("q")
        page = await bench.page(ids=(*gone, kept))
        assert [message.id for message in page.messages] == [kept]
        assert (await bench.ack(lease)).outcome == "not_found"
        with pytest.raises(QueueNotFound):
            await bench.put()
        with pytest.raises(QueueNotFound):
            await bench.take()

    async def test_a_later_queue_of_the_same_name_is_another_one(self, bench: Workbench) -> None:
        first = await bench.make_queue(lease_seconds=1)
        old = await bench.put()
        await bench.storage.drop_queue("q")
        bench.advance(1)
        second = await bench.make_queue()
        status = await bench.status()
        assert second.id != first.id
        assert (second.version, second.created_at) == (1, bench.now)
        assert (status.counts, status.totals, status.bytes) == (Counts(), Totals(), 0)
        assert await bench.put() > old

    async def test_queues_have_different_ids(self, bench: Workbench) -> None:
        queues = [await bench.make_queue(name) for name in ("a", "b", "c")]
        assert len({queue.id for queue in queues}) == len(queues)
        assert min(queue.id for queue in queues) > 0

    async def test_a_message_names_the_id_of_its_queue(self, bench: Workbench) -> None:
        await bench.make_queue("a")
        queue = await bench.make_queue("b")
        assert (await bench.get(await bench.put(queue="b"))).queue_id == queue.id


async def list_names(bench: Workbench, **query: object) -> list[str]:
    """Return the names that get_queues answers."""
    statuses = await bench.storage.get_queues(**query, now=bench.now)  # type: ignore[arg-type]  # as given
    return [status.queue.name for status in statuses]
