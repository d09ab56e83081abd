"""What is known of queues, and for how long it is believed."""

import pytest

from broker import QueueNotFound, QueueSpec
from broker.builtin.memory import MemoryStorage
from broker.operations.known_queues import KnownQueues
from broker.testing import ManualClock


class Counted(MemoryStorage):
    asked = 0

    async def get_queues(self, **options):
        self.asked += 1
        return await super().get_queues(**options)


class Shared(Counted):
    capabilities = frozenset({"shared"})


async def know(storage, *names, clock=None):
    """Return what is known of queues that are there, and were looked for."""
    await storage.open()
    for name in names:
        await storage.put_queue(QueueSpec(name), expect=0, now=0)
    known = KnownQueues(storage, clock or ManualClock())
    assert await known.existing({*names}) == {*names}
    storage.asked = 0
    return known


async def test_which_queues_exist_is_asked_once_and_forgotten_with_the_queue():
    storage = Counted()
    known = await know(storage, "q", "q2")

    assert await known.existing({"q", "q2"}) == {"q", "q2"}
    assert storage.asked == 0
    await storage.drop_queue("q2")
    known.forget("q2")
    assert await known.existing({"q", "q2", "q3"}) == {"q"}
    assert storage.asked == 1


async def test_a_queue_that_others_dropped_is_not_believed_in_once_it_was_looked_for():
    storage = Shared()
    known = await know(storage, "q")
    await storage.drop_queue("q")

    assert await known.existing({"q"}) == {"q"}
    assert await known.statuses({"q"}) == {}
    assert await known.existing({"q"}) == set()


async def test_what_others_may_change_is_believed_for_a_second():
    storage, clock = Shared(), ManualClock()
    known = await know(storage, "q", clock=clock)

    clock.advance(0.999)
    await known.policy("q")
    assert storage.asked == 0
    clock.advance(0.001)
    await known.policy("q")
    assert storage.asked == 1


async def test_there_is_no_policy_of_a_queue_that_is_not_there():
    known = await know(Counted())
    with pytest.raises(QueueNotFound):
        await known.policy("q")
