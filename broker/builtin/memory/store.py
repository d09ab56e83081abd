"""All queues in memory, and what moves a message between states and queues."""

from __future__ import annotations

import copy
from collections import Counter

import msgspec

from broker import Ended, QueueNotFound
from broker.builtin.memory.queue import MemoryQueue
from broker.builtin.memory.row import Row


class Saved(msgspec.Struct, frozen=True):
    """What a row and its queue's totals were before something was done to them."""

    row: Row
    totals: Counter[str]


class Store:
    """Queues by name and rows by id."""

    def __init__(self) -> None:
        self.queues: dict[str, MemoryQueue] = {}
        self.rows: dict[int, Row] = {}
        self.next_queue_id = 1
        self.next_message_id = 1
        self.maintain_from = 0  # the place of the queue at which maintain gave up

    def queue(self, name: str, now: int) -> MemoryQueue:
        """Return a queue as it is at `now`; raises QueueNotFound."""
        try:
            queue = self.queues[name]
        except KeyError:
            raise QueueNotFound(name) from None
        queue.look_at_time(now)
        return queue

    def find(self, message_id: int, now: int) -> Row | None:
        """Return a row as it is at `now`, None if there is none."""
        row = self.rows.get(message_id)
        if row is not None:
            self.queues[row.queue].look_at_time(now)
        return row

    def drop_queue(self, name: str) -> bool:
        """Delete a queue with all its rows."""
        queue = self.queues.pop(name, None)
        if queue is None:
            return False
        for row in queue.rows():
            del self.rows[row.id]
        return True

    def insert(self, row: Row) -> None:
        """Take in a new row."""
        self.rows[row.id] = row
        self.queues[row.queue].insert(row)

    def remove(self, row: Row, counter: str | None = None) -> None:
        """Remove a row, counting it in the queue's totals."""
        queue = self.queues[row.queue]
        queue.remove(row)
        del self.rows[row.id]
        if counter is not None:
            queue.totals[counter] += 1

    def wait(self, row: Row, *, until: int, now: int) -> None:
        """Make a leased row pending again."""
        queue = self.queues[row.queue]
        queue.lift(row)
        row.wait(until=until, now=now)
        queue.place(row)

    def fail(self, row: Row, reason: str, now: int) -> Ended:
        """End a row's life in failure; it may live on as a dead letter."""
        queue = self.queues[row.queue]
        queue.totals["failed"] += 1
        target = self._dead_letter(row, reason, now)
        if target is None:
            queue.lift(row)
            row.finish("failed", now=now)
            row.token = None
            row.reason = reason
            queue.place(row)
        return Ended(
            id=row.id, queue=queue.queue.name, how="failed", reason=reason, moved_to=target
        )

    def fail_exhausted(self, row: Row, now: int) -> Ended:
        """Fail a row that was delivered often enough."""
        return self.fail(row, f"not settled after {row.delivery_count} deliveries", now)

    def expire(self, row: Row, now: int) -> Ended:
        """End a row whose ttl passed: it lives on as a dead letter, or is removed."""
        name, reason = row.queue, "ttl passed"
        self.queues[name].totals["expired"] += 1
        target = self._dead_letter(row, reason, now)
        if target is None:
            self.remove(row)
        return Ended(id=row.id, queue=name, how="expired", reason=reason, moved_to=target)

    def can_redrive(self, row: Row) -> bool:
        """Tell whether a row failed or is a dead letter, and has a queue to go back to."""
        is_letter = row.state == "pending" and row.origin_queue is not None
        return (row.state == "failed" or is_letter) and _home(row) in self.queues

    def redrive(self, row: Row, now: int) -> None:
        """Bring back a row that `can_redrive`."""
        self.queues[row.queue].totals["redriven"] += 1
        self._move(row, _home(row), now)
        row.reason = None
        row.origin_queue = None

    def save(self, row: Row) -> Saved:
        """Return what `restore` needs to undo what comes."""
        return Saved(copy.copy(row), self.queues[row.queue].totals.copy())

    def restore(self, saved: Saved) -> None:
        """Make a row, and the totals of the queue that it was in, what they were."""
        current = self.rows.get(saved.row.id)
        if current is not None:
            self.remove(current)
        self.insert(saved.row)
        self.queues[saved.row.queue].totals = saved.totals

    def _dead_letter(self, row: Row, reason: str, now: int) -> str | None:
        """Move a row to the dead letter queue of its queue; return its name if there is one."""
        queue = self.queues[row.queue]
        target = queue.policy.dead_letter_queue
        if target is None or target == row.queue or target not in self.queues:
            return None
        queue.totals["dead_lettered"] += 1
        origin = row.origin_queue or row.queue
        self._move(row, target, now)
        row.reason = reason
        row.origin_queue = origin
        return target

    def _move(self, row: Row, target: str, now: int) -> None:
        self.queues[row.queue].remove(row)
        row.renew(queue=target, now=now)
        self.queues[target].insert(row)


def _home(row: Row) -> str:
    return row.origin_queue or row.queue
