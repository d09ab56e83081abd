"""Frames that wait: in order, within bounds, and undone if nobody gets them."""

import asyncio

import pytest

from broker import Budget, Identity, Overloaded
from broker_graphql.websocket.outbox import MAX_SMALL_BYTES, MAX_WAITING, Outbox

SOMEBODY = Identity(subject="somebody")


class Undone:
    def __init__(self):
        self.names = []

    def __call__(self, name):
        async def undo():
            self.names.append(name)

        return undo


def outbox(memory=1_000_000):
    return Outbox(Budget(memory, "too much"), SOMEBODY)


async def test_frames_go_in_order_and_then_there_is_none():
    box = outbox()
    for frame in (b"a", b"b"):
        box.put(frame)

    assert [box.take(), box.take(), box.take()] == [b"a", b"b", b""]


@pytest.mark.parametrize(("was_taken", "expected"), [(False, ["b", "c"]), (True, ["c"])])
async def test_what_was_not_sent_is_undone(was_taken, expected):
    box, undone = outbox(), Undone()
    for name in "abc":
        box.put(name.encode(), undo=undone(name))
    box.put(b"d")
    box.take()
    box.take()
    await box.close(was_taken=was_taken)

    assert sorted(undone.names) == expected


async def test_a_large_frame_that_can_be_undone_takes_of_the_memory_until_it_is_sent():
    budget = Budget(2_000, "too much")
    box, other = Outbox(budget, SOMEBODY), Outbox(budget, SOMEBODY)
    large = b"x" * (MAX_SMALL_BYTES + 1_000)
    box.put(large, undo=Undone()("a"))
    with pytest.raises(Overloaded):
        other.put(large, undo=Undone()("b"))
    other.put(large)
    other.put(large[1_000:], undo=Undone()("c"))
    assert box.take() == large
    with pytest.raises(Overloaded):
        other.put(large, undo=Undone()("d"))
    box.take()
    other.put(large, undo=Undone()("e"))
    await other.close(was_taken=False)
    box.put(large, undo=Undone()("f"))


async def test_when_much_waits_there_is_no_room_until_something_was_taken():
    box = outbox()
    for _ in range(MAX_WAITING):
        box.put(b"x")
    waiting = asyncio.ensure_future(box.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    box.take()
    await waiting
