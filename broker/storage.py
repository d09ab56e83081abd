"""The storage contract: nine operations, batch first, each atomic; one of them also many times."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar, Literal, get_args

from broker.limits import MAX_BATCH_BYTES
from broker.models import (
    BulkResult,
    LeaseResult,
    Maintenance,
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
from broker.provider import Provider

Capability = Literal["durable", "shared", "watch", "search", "priority", "groups", "dedup"]
"""What a storage may be able to do, or not: `Storage.capabilities` says what each means."""

CAPABILITIES: frozenset[Capability] = frozenset(get_args(Capability))


class Storage(Provider):
    """Keeps queues and messages. Implement this to add a storage, and run
    `broker.testing.StorageContract` against it. On a store that keeps bytes in the order of their
    keys, `OrderedStorage` is one already.

    The core validates, computes backoff and waits; a storage keeps what must be atomic with a
    message's state: leases, counts, dedup, limits, dead-lettering, retention, pause.

    Every operation is called on the event loop's thread, many at a time, and must not block it.
    An operation whose caller is cancelled is either done wholly or not at all, and the storage
    stays usable. Time is always `now`, int milliseconds; a storage never asks for it elsewhere.

    Raise StorageFailed, from then on and from every operation, when it is not known any more what
    is kept: a commit that the disk refused must not be tried again, because the second time the
    disk may say yes to what it lost. `broker serve` then answers 503 to whoever waits, and stops
    with exit code 74. What is only full, busy or away for a while is StorageFull or Unavailable.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    """What this storage can do beyond the mandatory:

    durable: what was answered survives a crash of the process (and of the machine, by default).
    shared: several broker processes may use the store at one time.
    watch: `watch` reports new work, of other processes too.
    search: `browse` with `text`.   priority, groups, dedup: these fields of a message have effect.
    """

    def describe(self) -> str:
        """Say in one line where messages are kept and what they survive; shown at the start."""
        if "durable" in self.capabilities:
            return "what was answered survives a crash"
        return "messages are gone when the broker stops"

    async def ping(self) -> None:
        """Raise if nothing can be published now; `/readyz` asks, at most once a second.

        A durable storage commits next to nothing to find out: until it writes, it cannot know
        that the disk takes nothing any more.
        """

    @abstractmethod
    async def put_queue(self, spec: QueueSpec, *, expect: int | None, now: int) -> Queue:
        """Make a queue or change its policy.

        `expect` None: either; 0: it must be new, else QueueExists; n: it must be at version n,
        else VersionMismatch. The version starts at 1 and grows by one with each call.
        """

    @abstractmethod
    async def get_queues(
        self,
        *,
        names: Sequence[str] | None = None,
        prefix: str = "",
        after: str | None = None,
        limit: int = 100,
        now: int,
    ) -> list[QueueStatus]:
        """List queues by name in code point order: those in `names` (unknown ones are left out),
        or those that start with `prefix` and come after `after`; at most `limit`."""

    @abstractmethod
    async def drop_queue(self, name: str) -> bool:
        """Delete a queue with its messages and dedup keys; False if there was none."""

    @abstractmethod
    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        """Store the whole batch or nothing; it may span queues. One result a message, in order.

        Ids are positive, grow in the order of publishing and are never used again. A message
        whose `dedup_key` was used in its queue within `dedup_window` is not stored: its result
        is the first id, `duplicate`. Raises QueueNotFound, and QueueFull when the queue's limits
        and `overflow = reject` forbid it. What `drop_oldest` removes is only counted.
        """

    @abstractmethod
    async def lease(
        self, queue: str, *, limit: int, lease_until: int, owner: str, now: int
    ) -> LeaseResult:
        """Lease up to `limit` messages, in lease order, each with a fresh token.

        Never returns what is delayed, expired, exhausted or behind the head of its group, never
        more than `max_in_flight` allows, nothing from a paused queue. Stops after the message
        with which the bodies reach `broker.limits.MAX_BATCH_BYTES`. Lease, count and token are
        durable before it returns. Raises QueueNotFound.

        What is expired or exhausted it may end on the way, and then tells in `ended`: of each end
        the one call that brought it tells. When there are too many in front, it may give up with
        nothing leased and a `next_visible_at` of `now`.
        """

    @abstractmethod
    async def settle(
        self, ops: Sequence[Settle], *, now: int, publish: Sequence[NewMessage] = ()
    ) -> Settled:
        """Carry out operations, each by itself, comparing its token; one result an operation.

        With `publish`, all or nothing: if an operation is not `ok`, nothing is done and nothing
        published; the results tell which. Raises what `publish` raises.
        """

    @abstractmethod
    async def browse(self, query: MessageQuery, *, now: int) -> Page:
        """Look at messages, changing nothing.

        A page ends after `limit` messages, or earlier: after the one with which the bodies reach
        `broker.limits.MAX_BATCH_BYTES`. Its `after` is the last id if more may follow, else None.
        """

    async def browse_each(self, queries: Sequence[MessageQuery], *, now: int) -> list[Page]:
        """Look several times; one page a query, in order, as `browse` would return it.

        But the bodies of all pages together are bounded as those of one. The page with which they
        reach `MAX_BATCH_BYTES` ends there. Those that come after it are not looked for: they are
        empty, and their `after` is that of their query, for the same to be asked again.

        Override it if asking the store takes a while each time: this asks once for each query.
        """
        pages: list[Page] = []
        room = MAX_BATCH_BYTES
        for query in queries:
            page = Page([], query.after)
            if room > 0:
                page = _cut(await self.browse(query, now=now), room)
                room -= sum(len(message.body) for message in page.messages)
            pages.append(page)
        return pages

    @abstractmethod
    async def bulk(
        self, query: MessageQuery, action: Literal["delete", "redrive"], *, now: int, limit: int
    ) -> list[BulkResult]:
        """Do `action` to at most `limit` of the messages that the query names; return to which.

        `delete` removes them, leased ones too. `redrive` brings failed ones and dead letters
        back to their `origin_queue` (or to their own queue) as pending, with delivery_count 0,
        no ttl and no reason; those whose origin is gone, and all others, stay.
        """

    @abstractmethod
    async def maintain(self, *, now: int, limit: int) -> Maintenance:
        """Do what time brings: lapse leases, expire ttls, remove what retention is over, forget
        dedup keys; at most `limit` messages a call. Idempotent: any process, at any time. It tells
        of each end that it brought, and of no other."""

    def watch(self) -> AsyncIterator[str]:
        """Yield names of queues with new work; only asked of a storage with `watch`."""
        raise NotImplementedError(f"{type(self).__name__} does not declare the capability watch")


def _cut(page: Page, room: int) -> Page:
    """Return what of a page there is room for: it ends with the message that fills it."""
    for number, message in enumerate(page.messages[:-1], start=1):
        room -= len(message.body)
        if room <= 0:
            return Page(page.messages[:number], message.id)
    return page
