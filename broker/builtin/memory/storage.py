"""The reference storage: everything in this process, nothing left when it ends."""

from __future__ import annotations

import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from typing import ClassVar, Literal

from broker import (
    BulkResult,
    Capability,
    Closed,
    Ended,
    Lease,
    LeaseResult,
    Maintenance,
    MessageQuery,
    NewMessage,
    Page,
    PublishResult,
    Queue,
    QueueExists,
    QueueSpec,
    QueueStatus,
    Settle,
    Settled,
    Storage,
    VersionMismatch,
    limits,
)
from broker.builtin.memory.maintenance import maintain
from broker.builtin.memory.publishing import publish
from broker.builtin.memory.queue import MemoryQueue
from broker.builtin.memory.row import Row
from broker.builtin.memory.settling import settle
from broker.builtin.memory.store import Store

MAX_ENDED = 1000
"""After so many messages that are over, a lease gives up for once."""


class MemoryStorage(Storage):
    """Keeps queues and messages in dicts and heaps.

    No operation awaits anything, so each is atomic, and a cancelled one was done or not begun.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {"search", "priority", "groups", "dedup"}
    )

    def __init__(self) -> None:
        self._data = Store()
        self._is_open = False

    async def open(self) -> None:
        """Allow operations; what an earlier opening left is still here."""
        self._is_open = True

    async def close(self) -> None:
        """Refuse operations from now on."""
        self._is_open = False

    async def ping(self) -> None:
        """Raise Closed unless it is open."""
        _ = self._store

    @property
    def _store(self) -> Store:
        if not self._is_open:
            raise Closed("the memory storage is not open")
        return self._data

    async def put_queue(self, spec: QueueSpec, *, expect: int | None, now: int) -> Queue:
        """Make a queue or change its policy."""
        store = self._store
        found = store.queues.get(spec.name)
        if found is None:
            if expect:
                raise VersionMismatch(spec.name, expected=expect, found=None)
            return _make_queue(store, spec, now)
        if expect == 0:
            raise QueueExists(spec.name)
        if expect is not None and expect != found.queue.version:
            raise VersionMismatch(spec.name, expected=expect, found=found.queue.version)
        found.put_policy(spec.policy, now)
        return found.queue

    async def get_queues(
        self,
        *,
        names: Sequence[str] | None = None,
        prefix: str = "",
        after: str | None = None,
        limit: int = 100,
        now: int,
    ) -> list[QueueStatus]:
        """List queues with their counts, by name."""
        store = self._store
        if names is None:
            found = sorted(store.queues)
            start = max(bisect_left(found, prefix), bisect_right(found, after or ""))
            with_prefix = takewhile(lambda name: name.startswith(prefix), found[start:])
            chosen = [*islice(with_prefix, limit)]
        else:
            chosen = sorted(store.queues.keys() & set(names))[:limit]
        return [store.queue(name, now).status() for name in chosen]

    async def drop_queue(self, name: str) -> bool:
        """Delete a queue with its messages and dedup keys."""
        return self._store.drop_queue(name)

    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        """Store the whole batch or nothing."""
        return publish(self._store, batch, now)

    async def lease(
        self, queue: str, *, limit: int, lease_until: int, owner: str, now: int
    ) -> LeaseResult:
        """Lease up to `limit` messages, in lease order."""
        source = self._store.queue(queue, now)
        policy = source.policy
        if policy.paused:
            return LeaseResult(leases=[], paused=True)
        if policy.max_in_flight is not None:
            limit = min(limit, policy.max_in_flight - len(source.leased))
        rows, ended = self._pick(source, limit, now)
        leases = [self._lease(source, row, lease_until, owner, now) for row in rows]
        gave_up = not rows and len(ended) >= MAX_ENDED
        return LeaseResult(
            leases=leases,
            ended=tuple(ended),
            next_visible_at=now if gave_up else source.next_visible_at(),
        )

    async def settle(
        self, ops: Sequence[Settle], *, now: int, publish: Sequence[NewMessage] = ()
    ) -> Settled:
        """Carry out operations; with `publish`, all or nothing."""
        return settle(self._store, ops, publish, now)

    async def browse(self, query: MessageQuery, *, now: int) -> Page:
        """Look at messages."""
        return self._look(query, limits.MAX_BATCH_BYTES, now)

    async def browse_each(self, queries: Sequence[MessageQuery], *, now: int) -> list[Page]:
        """Look several times."""
        pages: list[Page] = []
        room = limits.MAX_BATCH_BYTES
        for query in queries:
            page = self._look(query, room, now) if room > 0 else Page([], query.after)
            room -= sum(len(message.body) for message in page.messages)
            pages.append(page)
        return pages

    async def bulk(
        self, query: MessageQuery, action: Literal["delete", "redrive"], *, now: int, limit: int
    ) -> list[BulkResult]:
        """Remove or bring back at most `limit` messages."""
        store = self._store
        chosen = self._select(query, now)
        if action == "redrive":
            chosen = filter(store.can_redrive, chosen)
        rows = list(islice(chosen, limit))
        for row in rows:
            if action == "redrive":
                store.redrive(row, now)
            else:
                store.remove(row, "deleted")
        return [BulkResult(id=row.id, queue=row.queue) for row in rows]

    async def maintain(self, *, now: int, limit: int) -> Maintenance:
        """Do what time brings to at most `limit` messages."""
        return maintain(self._store, now, limit)

    def _look(self, query: MessageQuery, room: int, now: int) -> Page:
        store = self._store
        found = self._select(query, now)
        rows = list(_within(room, islice(found, query.limit)))
        messages = [row.message(store.queues[row.queue].queue.id) for row in rows]
        return Page(messages, rows[-1].id if rows and next(found, None) is not None else None)

    def _pick(self, queue: MemoryQueue, limit: int, now: int) -> tuple[list[Row], list[Ended]]:
        """Return the rows to lease, in order, and how those that are over were ended instead."""
        ended: list[Ended] = []
        while True:
            ready = islice(iter(queue.ready.take, None), max(limit, 0))
            picked = list(_within(limits.MAX_BATCH_BYTES, ready))
            over = [row for row in picked if row.is_expired(now) or row.is_exhausted(queue.policy)]
            if not over:
                return picked, ended
            # An end can bring the next of a group forward, to a place before those picked.
            for row in picked:
                queue.ready.put(row, visible=True)
            for row in over:
                end = self._data.expire if row.is_expired(now) else self._data.fail_exhausted
                ended.append(end(row, now))
            if len(ended) >= MAX_ENDED:
                return [], ended

    def _lease(self, queue: MemoryQueue, row: Row, until: int, owner: str, now: int) -> Lease:
        token = secrets.token_bytes(16)
        queue.lift(row)
        row.lease(until=until, owner=owner, token=token, now=now)
        queue.place(row)
        queue.totals["delivered"] += 1
        return Lease(row.message(queue.queue.id), token)

    def _select(self, query: MessageQuery, now: int) -> Iterator[Row]:
        text = None if query.text is None else query.text.encode()
        for row in self._candidates(query, now):
            queue = self._data.queues[row.queue]
            if (
                row.id > query.after
                and (query.queue is None or query.queue == row.queue)
                and (not query.states or _is_in(queue, row, query.states))
                and (text is None or text in row.body)
                and (query.finished_before is None or row.is_finished(query.finished_before))
            ):
                yield row

    def _candidates(self, query: MessageQuery, now: int) -> Iterator[Row]:
        store = self._data
        if query.ids is None and query.queue is not None:
            if query.queue in store.queues:
                yield from store.queue(query.queue, now).rows(query.after)
            return
        for message_id in sorted(store.rows if query.ids is None else set(query.ids)):
            row = store.find(message_id, now)
            if row is not None:
                yield row


def _within(room: int, rows: Iterator[Row]) -> Iterator[Row]:
    """Yield rows until their bodies fill the room there is; take no row beyond."""
    for row in rows:
        yield row
        room -= len(row.body)
        if room <= 0:
            return


def _make_queue(store: Store, spec: QueueSpec, now: int) -> Queue:
    queue = Queue(
        id=store.next_queue_id,
        name=spec.name,
        policy=spec.policy,
        version=1,
        created_at=now,
        updated_at=now,
    )
    store.next_queue_id += 1
    store.queues[spec.name] = MemoryQueue(queue)
    return queue


def _is_in(queue: MemoryQueue, row: Row, states: Sequence[str]) -> bool:
    return row.state in states or ("scheduled" in states and queue.is_scheduled(row))
