"""The workbench of the storage contract: a storage, a clock, and short words for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from broker.models import (
    BulkResult,
    Counts,
    Lease,
    LeaseResult,
    Maintenance,
    Message,
    MessageQuery,
    NewMessage,
    Page,
    PublishResult,
    Queue,
    QueuePolicy,
    QueueSpec,
    QueueStatus,
    Settle,
    Settled,
    SettleResult,
    Totals,
)
from broker.storage import Storage
from broker.testing.clock import ManualClock
from broker.testing.opening import ProviderBench

SettleKind: TypeAlias = Literal["ack", "retry", "release", "reject", "extend"]
KINDS: tuple[SettleKind, ...] = ("ack", "retry", "release", "reject", "extend")
KINDS_BUT_ACK: tuple[SettleKind, ...] = KINDS[1:]
MEBIBYTE = 1024 * 1024

T = TypeVar("T")


class Workbench(ProviderBench[Storage]):
    """Calls a storage at the time of its clock. The queue is "q" and seconds are relative to now,
    unless a test says otherwise. `storage` is there for calls that have no short word."""

    def __init__(
        self,
        make: Callable[[], Storage],
        clock: ManualClock,
        crash: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(make)
        self._crash = crash
        self._abandoned: list[Storage] = []
        self.clock = clock
        """Stands still until a test moves it."""

    async def __aexit__(self, *_: object) -> None:
        for storage in (self.storage, *self._abandoned):
            await storage.close()

    @property
    def storage(self) -> Storage:
        """The storage under test; another one after `reopen` and `crash`."""
        return self.provider

    @property
    def now(self) -> int:
        """Milliseconds, as the clock has it."""
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    async def reopen(self) -> None:
        """Close the storage, and open another one on the same data."""
        await self.storage.close()
        self.provider = self.another()
        await self.storage.open()

    async def crash(self) -> None:
        """Open another storage on what a crash leaves; the first is not closed before the end."""
        assert self._crash is not None, "this workbench was not told what a crash is"
        self._crash()
        self._abandoned.append(self.storage)
        self.provider = self.another()
        await self.storage.open()

    async def make_queue(self, name: str = "q", **policy: Any) -> Queue:
        """Make a queue, or replace its policy."""
        spec = QueueSpec(name, QueuePolicy(**policy))
        return await self.storage.put_queue(spec, expect=None, now=self.now)

    def message(
        self,
        body: bytes = b"body",
        *,
        queue: str = "q",
        delay: float = 0,
        ttl: float | None = None,
        **fields: Any,
    ) -> NewMessage:
        """Return a message that is visible after `delay` seconds and expires after `ttl`."""
        return NewMessage(
            queue=queue,
            body=body,
            visible_at=self.now + round(delay * 1000),
            expires_at=None if ttl is None else self.now + round(ttl * 1000),
            **fields,
        )

    async def publish(self, *batch: NewMessage) -> list[PublishResult]:
        """Publish a batch."""
        return await self.storage.publish(batch, now=self.now)

    async def put(self, body: bytes = b"body", **fields: Any) -> int:
        """Publish one message, as `message` makes it; return its id."""
        return only(await self.publish(self.message(body, **fields)), "publish").id

    async def put_many(self, count: int, **fields: Any) -> list[int]:
        """Publish `count` messages in one batch, with the bodies 0, 1, 2, ...; return their ids."""
        batch = [self.message(b"%d" % number, **fields) for number in range(count)]
        return [result.id for result in await self.publish(*batch)]

    async def lease(
        self, queue: str = "q", *, limit: int = 1, seconds: float = 30, owner: str = "tester"
    ) -> LeaseResult:
        """Lease up to `limit` messages for `seconds`."""
        lease_until = self.now + round(seconds * 1000)
        return await self.storage.lease(
            queue, limit=limit, lease_until=lease_until, owner=owner, now=self.now
        )

    async def take(
        self, queue: str = "q", *, limit: int = 100, seconds: float = 30, owner: str = "tester"
    ) -> list[Lease]:
        """Lease all that can be leased, up to `limit`."""
        result = await self.lease(queue, limit=limit, seconds=seconds, owner=owner)
        return result.leases

    async def take_one(
        self, queue: str = "q", *, seconds: float = 30, owner: str = "tester"
    ) -> Lease:
        """Lease one message, which must be there."""
        leases = await self.take(queue, limit=1, seconds=seconds, owner=owner)
        return only(leases, f'lease from "{queue}"')

    async def take_ids(self, queue: str = "q", *, limit: int = 100) -> list[int]:
        """Lease all that can be leased, up to `limit`; return the ids in the order of the lease."""
        return [lease.message.id for lease in await self.take(queue, limit=limit)]

    def op(
        self,
        lease: Lease,
        kind: SettleKind,
        *,
        seconds: float | None = None,
        reason: str | None = None,
        fenced: bool = True,
    ) -> Settle:
        """Return an operation on a lease; not `fenced`, it goes without a token."""
        return Settle(
            id=lease.message.id,
            queue=lease.message.queue,
            kind=kind,
            token=lease.token if fenced else None,
            visible_at=None if seconds is None else self.now + round(seconds * 1000),
            reason=reason,
        )

    async def settle(self, *ops: Settle, publish: Sequence[NewMessage] = ()) -> list[SettleResult]:
        """Carry out operations; return what became of them."""
        return (await self.settle_and_publish(*ops, publish=publish)).results

    async def settle_and_publish(self, *ops: Settle, publish: Sequence[NewMessage] = ()) -> Settled:
        """Carry out operations; return also what became of the messages to publish."""
        return await self.storage.settle(ops, now=self.now, publish=publish)

    async def do(self, lease: Lease, kind: SettleKind, **options: Any) -> SettleResult:
        """Carry out one operation, as `op` makes it."""
        return only(await self.settle(self.op(lease, kind, **options)), "settle")

    async def ack(self, lease: Lease) -> SettleResult:
        """Ack a lease."""
        return await self.do(lease, "ack")

    async def put_failed(self, queue: str = "q", *, reason: str = "bad", **fields: Any) -> int:
        """Publish, lease and reject a message in a queue where nothing is ready; return its id."""
        message_id = await self.put(queue=queue, **fields)
        lease = await self.take_one(queue)
        assert lease.message.id == message_id, "something else was ready"
        await self.do(lease, "reject", reason=reason)
        return message_id

    async def put_processed(self, queue: str = "q", **fields: Any) -> int:
        """Publish, lease and ack a message in a queue where nothing is ready; return its id."""
        message_id = await self.put(queue=queue, **fields)
        lease = await self.take_one(queue)
        assert lease.message.id == message_id, "something else was ready"
        await self.ack(lease)
        return message_id

    async def page(self, **query: Any) -> Page:
        """Browse, with the fields of a MessageQuery."""
        return await self.storage.browse(MessageQuery(**query), now=self.now)

    async def pages(self, *queries: MessageQuery) -> list[Page]:
        """Browse several times at once."""
        return await self.storage.browse_each(queries, now=self.now)

    async def browse(self, queue: str = "q", **query: Any) -> list[Message]:
        """Return the messages of one page of a queue."""
        return (await self.page(queue=queue, **query)).messages

    async def browse_ids(self, queue: str = "q", *states: str, **query: Any) -> list[int]:
        """Return the ids of the messages of a queue in any of these states."""
        return [message.id for message in await self.browse(queue, states=states, **query)]

    async def find(self, message_id: int) -> Message | None:
        """Return a message, or None if it is gone."""
        messages = (await self.page(ids=(message_id,))).messages
        return messages[0] if messages else None

    async def get(self, message_id: int) -> Message:
        """Return a message that must be there."""
        message = await self.find(message_id)
        assert message is not None, f"message {message_id} is gone"
        return message

    async def everything(self) -> list[tuple[QueueStatus, list[Message]]]:
        """Return all that the storage shows, to find out whether it changes."""
        statuses = await self.storage.get_queues(limit=1000, now=self.now)
        return [(status, await self.browse(status.queue.name, limit=10_000)) for status in statuses]

    async def status(self, queue: str = "q") -> QueueStatus:
        """Return the status of a queue that must be there."""
        found = await self.storage.get_queues(names=[queue], now=self.now)
        return only(found, f'get_queues with names=["{queue}"]')

    async def counts(self, queue: str = "q") -> Counts:
        """Return how many messages a queue holds, by state."""
        return (await self.status(queue)).counts

    async def totals(self, queue: str = "q") -> Totals:
        """Return what happened in a queue."""
        return (await self.status(queue)).totals

    async def delete(self, *, limit: int = 1000, **query: Any) -> int:
        """Remove the messages that a query names; return how many."""
        return len(await self.bulk("delete", limit=limit, **query))

    async def redrive(self, *, limit: int = 1000, **query: Any) -> int:
        """Bring back the messages that a query names; return how many."""
        return len(await self.bulk("redrive", limit=limit, **query))

    async def bulk(
        self, action: Literal["delete", "redrive"], *, limit: int = 1000, **query: Any
    ) -> list[BulkResult]:
        """Do `action` to the messages that a query names."""
        return await self.storage.bulk(MessageQuery(**query), action, now=self.now, limit=limit)

    async def maintain(self, *, limit: int = 1000) -> Maintenance:
        """Do what time brought."""
        return await self.storage.maintain(now=self.now, limit=limit)


def only(found: Sequence[T], call: str) -> T:
    """Return the one thing that a call has to find."""
    assert len(found) == 1, f"{call} has to return one thing, and returned {found!r}"
    return found[0]
