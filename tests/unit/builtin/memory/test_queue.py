"""A queue in memory: its rows in order of id, and what it costs to let them go."""

import pytest

from broker import NewMessage, Queue, QueuePolicy
from broker.builtin.memory.queue import MemoryQueue
from broker.builtin.memory.row import Row


class Ids(list[int]):
    """A list that nobody may take single members out of: all that follow would move up."""

    def __delitem__(self, where: object) -> None:
        raise AssertionError("the rest of the list moved")


@pytest.fixture
def queue() -> MemoryQueue:
    made = Queue(id=1, name="q", policy=QueuePolicy(), version=1, created_at=0, updated_at=0)
    return MemoryQueue(made)


def row(row_id: int) -> Row:
    return Row.new(row_id, NewMessage(queue="q", body=b"", visible_at=0), 0)


def ids(queue: MemoryQueue, after: int = 0) -> list[int]:
    return [row.id for row in queue.rows(after)]


def test_a_row_that_is_removed_moves_no_other(queue: MemoryQueue) -> None:
    queue._ids = Ids()
    rows = [row(row_id) for row_id in range(1, 11)]
    for each in rows:
        queue.insert(each)
    for each in rows[:9]:
        queue.remove(each)
    assert ids(queue) == [10]


def test_removed_rows_are_forgotten_once_they_are_many(queue: MemoryQueue) -> None:
    rows = [row(row_id) for row_id in range(1, 1001)]
    for each in rows:
        queue.insert(each)
    for each in rows[:990]:
        queue.remove(each)
    assert ids(queue) == list(range(991, 1001))
    assert ids(queue, after=995) == list(range(996, 1001))
    assert len(queue._ids) < 100


@pytest.mark.parametrize("returned", [1, 2, 3])
def test_a_row_that_comes_back_is_there_once(queue: MemoryQueue, returned: int) -> None:
    rows = {row_id: row(row_id) for row_id in (1, 2, 3)}
    for each in rows.values():
        queue.insert(each)
    queue.remove(rows[returned])
    queue.insert(rows[returned])
    assert ids(queue) == [1, 2, 3]
