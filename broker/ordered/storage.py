"""The storage: every operation is one transaction in the thread that owns the store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

from msgspec.structs import replace

from broker.limits import MAX_BATCH_BYTES
from broker.models import (
    BulkResult,
    LeaseResult,
    Maintenance,
    Message,
    MessageQuery,
    NewMessage,
    Page,
    PublishResult,
    Queue,
    QueueSpec,
    QueueStatus,
    Settle,
    Settled,
)
from broker.ordered import keys
from broker.ordered.browsing import bulk, look
from broker.ordered.leasing import lease
from broker.ordered.maintenance import maintain, retime_leases
from broker.ordered.publishing import publish
from broker.ordered.queues import drop_queue, get_queues, put_queue
from broker.ordered.records import encode
from broker.ordered.settling import settle
from broker.ordered.store import OrderedStore
from broker.ordered.transaction import Transaction
from broker.ordered.writer import Writer
from broker.storage import Capability, Storage


class OrderedStorage(Storage):
    """Keeps queues and messages in an ordered store, of which it is the only user.

    All that a storage has to know of queues is here; pass it a store that commits durably, and
    that is a storage. Of a store that forgets, declare less:

        class ForgetfulStorage(OrderedStorage):
            capabilities = OrderedStorage.capabilities - {"durable"}

    What is asked for at the same time shares a commit. What a publish or a look answers is
    committed by then.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {"durable", "search", "priority", "groups", "dedup"}
    )

    def __init__(self, store: OrderedStore) -> None:
        """Take a store that is not open: this storage opens and closes it, in its own thread."""
        self._store = store
        self._writer = Writer(store)
        self._is_resumed = False

    def describe(self) -> str:
        """Say where messages are kept and what they survive."""
        return f"{self._store.describe()}, {super().describe()}"

    async def open(self) -> None:
        """Open the store; raises StorageUnreadable, and what the store raises."""
        self._is_resumed = False
        await self._writer.open()

    async def close(self) -> None:
        """Finish what was begun, and close the store."""
        await self._writer.close()

    async def ping(self) -> None:
        """Commit next to nothing; raises what publishing would."""

        def operation(tx: Transaction) -> None:
            self._store.demand_room(0)
            tx.data.put(keys.IDS, encode(tx.ids))

        await self._writer.run(operation, 0)

    async def put_queue(self, spec: QueueSpec, *, expect: int | None, now: int) -> Queue:
        """Make a queue or change its policy."""
        return await self._writer.run(partial(put_queue, spec=spec, expect=expect), now)

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
        listed = partial(get_queues, names=names, prefix=prefix, after=after, limit=limit)
        return await self._writer.run(listed, now, is_look=True)

    async def drop_queue(self, name: str) -> bool:
        """Delete a queue with its messages and dedup keys."""
        return await self._writer.run(partial(drop_queue, name=name), 0)

    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        """Store the whole batch or nothing."""

        def operation(tx: Transaction) -> list[PublishResult]:
            self._demand_room(batch)
            return publish(tx, batch)

        return await self._writer.run(operation, now)

    async def lease(
        self, queue: str, *, limit: int, lease_until: int, owner: str, now: int
    ) -> LeaseResult:
        """Lease up to `limit` messages, in lease order."""
        leased = partial(lease, name=queue, limit=limit, lease_until=lease_until, owner=owner)
        return await self._writer.run(leased, now)

    async def settle(
        self, ops: Sequence[Settle], *, now: int, publish: Sequence[NewMessage] = ()
    ) -> Settled:
        """Carry out operations; with `publish`, all or nothing."""

        def operation(tx: Transaction) -> Settled:
            if publish:
                self._demand_room(publish)
            return settle(tx, ops, publish)

        return await self._writer.run(operation, now)

    async def browse(self, query: MessageQuery, *, now: int) -> Page:
        """Look at messages, a slice at a time."""
        found: list[Message] = []
        room = MAX_BATCH_BYTES
        while True:
            part = await self._writer.run(partial(look, query=query, room=room), now, is_look=True)
            found += part.messages
            if part.looked_until is None:
                return Page(found, found[-1].id if found and part.has_more else None)
            room -= sum(len(message.body) for message in part.messages)
            left = query.limit - len(part.messages)
            query = replace(query, after=part.looked_until, limit=left)

    async def bulk(
        self, query: MessageQuery, action: Literal["delete", "redrive"], *, now: int, limit: int
    ) -> list[BulkResult]:
        """Remove or bring back at most `limit` messages."""
        return await self._writer.run(partial(bulk, query=query, action=action, limit=limit), now)

    async def maintain(self, *, now: int, limit: int) -> Maintenance:
        """Do what time brings to at most `limit` messages."""
        if not self._is_resumed:
            await self._writer.run(retime_leases, now)
            self._is_resumed = True
        return await self._writer.run(partial(maintain, limit=limit), now)

    def _demand_room(self, batch: Sequence[NewMessage]) -> None:
        self._store.demand_room(sum(len(message.body) for message in batch))
