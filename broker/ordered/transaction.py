"""One operation's view of the store, and the books that it keeps: rows, orders, counters."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from msgspec.structs import replace

from broker.errors import QueueNotFound, StorageFailed
from broker.models import Queue
from broker.ordered import keys
from broker.ordered.overlay import Overlay
from broker.ordered.places import due_time, places, rank, ready
from broker.ordered.records import (
    Books,
    Ids,
    Row,
    decode_books,
    decode_ids,
    decode_queue,
    decode_row,
    encode,
)

CHUNK = 1000
"""How much of what is due one look notices, so that a hundred thousand stall nobody."""


class Transaction:
    """All that an operation reads and changes, at one time; nothing of it counts before `end`."""

    def __init__(self, base: Overlay, now: int) -> None:
        self.now = now
        self.data = Overlay(base)
        self._base = base
        self._ids: Ids | None = None
        self._queues: dict[str, Queue] = {}
        self._books: dict[int, Books] = {}
        self._groups: set[tuple[int, bytes]] = set()

    def end(self) -> None:
        """Hand all changes to the base."""
        self.regroup()
        if self._ids is not None:
            self._put_changed(keys.IDS, encode(self._ids))
        for queue_id, books in self._books.items():
            self._put_changed(keys.of_queue(queue_id, keys.BOOKS), encode(books))
        self._base.update(self.data.changes)

    def _put_changed(self, key: bytes, value: bytes) -> None:
        # What only reads shall not lead to a commit.
        if self.data.get(key) != value:
            self.data.put(key, value)

    @property
    def ids(self) -> Ids:
        """The next ids, to be taken and counted on."""
        if self._ids is None:
            found = self.data.get(keys.IDS)
            assert found is not None, "it is made when the store is"
            self._ids = decode_ids(found)
        return self._ids

    def find_queue(self, name: str) -> Queue | None:
        """Return a queue, None if there is none of that name."""
        if name not in self._queues:
            found = self.data.get(keys.queue(name))
            if found is None:
                return None
            self._queues[name] = decode_queue(found)
        return self._queues[name]

    def queue(self, name: str) -> Queue:
        """Return a queue; raises QueueNotFound."""
        queue = self.find_queue(name)
        if queue is None:
            raise QueueNotFound(name)
        return queue

    def put_queue(self, queue: Queue) -> Queue:
        """Keep a queue that is new or changed."""
        self.data.put(keys.queue(queue.name), encode(queue))
        self._queues[queue.name] = queue
        self.look_by(queue.id, queue.name, self.now)
        return queue

    def drop_queue(self, queue: Queue) -> None:
        """Let go of a queue; maintain removes what it holds, piece by piece."""
        self.set_due(queue.id, queue.name, None)
        self.data.delete(keys.queue(queue.name))
        self.data.put(keys.dropped(queue.id))
        del self._queues[queue.name], self._books[queue.id]

    def books(self, queue_id: int) -> Books:
        """Return the books of a queue, to be changed."""
        if queue_id not in self._books:
            found = self.data.get(keys.of_queue(queue_id, keys.BOOKS))
            self._books[queue_id] = Books() if found is None else decode_books(found)
        return self._books[queue_id]

    def look_by(self, queue_id: int, name: str, due: int) -> None:
        """Have maintain look at a queue by then."""
        due_at = self.books(queue_id).due_at
        if due_at is None or due < due_at:
            self.set_due(queue_id, name, due)

    def set_due(self, queue_id: int, name: str, due: int | None) -> None:
        """Have maintain look at a queue at that time and no sooner."""
        books = self.books(queue_id)
        if due != books.due_at:
            if books.due_at is not None:
                self.data.delete(keys.agenda(books.due_at, queue_id))
            if due is not None:
                self.data.put(keys.agenda(due, queue_id), name.encode())
            books.due_at = due

    def row(self, message_id: int) -> Row | None:
        """Return a message's row as it is kept, None if there is none."""
        found = self.data.get(keys.message(message_id))
        if found is None:
            return None
        row = decode_row(found)
        is_gone = self.data.get(keys.dropped(row.queue_id)) is not None
        return None if is_gone else row

    def find(self, message_id: int) -> Row | None:
        """Return a row as it is at this time, None if there is none."""
        row = self.row(message_id)
        if row is None or row.visible_at > self.now:
            return row
        if row.state == "processing":
            return self._lapse(row)
        return self.change(row, is_scheduled=False) if row.is_scheduled else row

    def body(self, row: Row) -> bytes:
        """Return the body of a message."""
        found = self.data.get(keys.body(row.id))
        if found is None:
            raise StorageFailed(f"message {row.id} has lost its body: restore a backup")
        return found

    def insert(self, row: Row, body: bytes) -> None:
        """Keep a new message."""
        self.data.put(keys.body(row.id), body)
        self._move(None, row)

    def change(self, row: Row, **changes: Any) -> Row:
        """Change fields of a row, and every order that it has a place in; return it."""
        after = replace(row, **changes)
        self._move(row, after)
        return after

    def remove(self, row: Row) -> None:
        """Remove a message."""
        self.data.delete(keys.message(row.id))
        self.data.delete(keys.body(row.id))
        self._move(row, None)

    def _move(self, before: Row | None, after: Row | None) -> None:
        left = set() if before is None else places(before)
        taken = set() if after is None else places(after)
        for key in left - taken:
            self.data.delete(key)
        for key in taken - left:
            self.data.put(key)
        if before is not None:
            self.books(before.queue_id).enter(before, -1)
            self._touch(before)
        if after is not None:
            self.data.put(keys.message(after.id), encode(after))
            self.books(after.queue_id).enter(after)
            self._touch(after)
            due = due_time(after, self.now)
            if due is not None:
                self.look_by(after.queue_id, after.queue, due)

    def _touch(self, row: Row) -> None:
        if row.group is not None:
            self._groups.add((row.queue_id, keys.digest(row.group)))

    def notice(self, queue_id: int) -> bool:
        """Lapse leases that are over and show what is due; True if there may be more of it."""
        lapsed = self.lapse_due(queue_id, CHUNK)
        shown = self.show_due(queue_id, CHUNK)
        self.regroup()
        return CHUNK in (len(lapsed), len(shown))

    def lapse_due(self, queue_id: int, limit: int) -> list[Row]:
        """Lapse leases that are over; return those rows."""
        over = self.rows(islice(self.due(queue_id, keys.LEASED, self.now), limit))
        return [self._lapse(row) for row in over]

    def show_due(self, queue_id: int, limit: int) -> list[Row]:
        """Make visible what is due; return those rows."""
        due = self.rows(islice(self.due(queue_id, keys.SCHEDULED, self.now), limit))
        return [self.change(row, is_scheduled=False) for row in due]

    def _lapse(self, row: Row) -> Row:
        self.books(row.queue_id).count("lapsed")
        return self.change(row, state="pending")  # the token is kept for a late ack

    def rows(self, message_ids: Iterator[int]) -> list[Row]:
        """Return the rows of messages that an order names."""
        return [row for row in map(self.row, message_ids) if row is not None]

    def due(self, queue_id: int, kind: bytes, until: int) -> Iterator[int]:
        """Yield the ids of a queue's messages whose time, of that kind, is not after `until`."""
        start = keys.of_queue(queue_id, kind)
        found = self.data.scan(start, start + keys.number(until + 1))
        return (keys.last_number(key) for key, _ in found)

    def in_order(self, queue_id: int, kind: bytes, first: int = 0) -> Iterator[int]:
        """Yield the ids of a queue's messages in an order, from a number in it on."""
        start = keys.of_queue(queue_id, kind)
        found = self.data.scan(start + keys.number(first), keys.after_all(start))
        return (keys.last_number(key) for key, _ in found)

    def first_time(self, queue_id: int, kind: bytes, after: int = -1) -> int | None:
        """Return the first time in an order by time, of those after another."""
        start = keys.of_queue(queue_id, kind)
        for key, _ in self.data.scan(start + keys.number(after + 1), keys.after_all(start)):
            return int.from_bytes(key[len(start) : len(start) + 8])
        return None

    def regroup(self) -> None:
        """Of each group that was touched, offer the head, and nothing while one of it is leased."""
        for queue_id, group in self._groups:
            self._regroup(queue_id, group)
        self._groups.clear()

    def _regroup(self, queue_id: int, group: bytes) -> None:
        wanted = self._head(queue_id, group)
        place = keys.of_queue(queue_id, keys.OFFERED) + group
        offered = self.data.get(place)
        if offered == wanted:
            return
        if offered is not None:
            self.data.delete(place)
            for key in ready(queue_id, offered):
                self.data.delete(key)
        if wanted is not None:
            self.data.put(place, wanted)
            for key in ready(queue_id, wanted):
                self.data.put(key)

    def _head(self, queue_id: int, group: bytes) -> bytes | None:
        """Return the rank of the message of a group that can be leased, None if none can."""
        leased = keys.of_queue(queue_id, keys.LEASED_IN_GROUP) + group
        if next(self.data.scan(leased, keys.after_all(leased)), None) is not None:
            return None
        waiting = keys.of_queue(queue_id, keys.WAITING_IN_GROUP) + group
        first = next(self.data.scan(waiting, keys.after_all(waiting)), None)
        head = None if first is None else self.row(keys.last_number(first[0]))
        return None if head is None or head.is_scheduled else rank(head)
