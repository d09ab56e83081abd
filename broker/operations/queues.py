"""Queues: making, changing, listing, emptying them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Literal

import msgspec

from broker.auth import Identity
from broker.errors import (
    BrokerError,
    FieldError,
    Invalid,
    QueueExists,
    QueueNotFound,
    Unsupported,
    VersionMismatch,
)
from broker.extend import EventKind
from broker.models import (
    MessageQuery,
    Overview,
    Queue,
    QueuePolicy,
    QueueSpec,
    QueueStatus,
    StateFilter,
    Summary,
)
from broker.operations.bulk import do_in_bulk, in_pieces
from broker.operations.census import Census
from broker.operations.checking import (
    check_prefix,
    check_purge,
    check_queue,
    check_queue_name,
    queue_name_refusal,
)
from broker.operations.overview import Lookout
from broker.operations.paging import pages_of_queues
from broker.operations.runtime import Runtime


class Queues:
    """The queues of a broker. Every method that clients reach takes the identity that asks, and
    checks it."""

    def __init__(self, runtime: Runtime, *, most: int) -> None:
        self._runtime = runtime
        self._census = Census(runtime.storage, runtime.clock, most=most)
        self._lookout = Lookout(runtime.storage, runtime.clock)
        self._storage = runtime.storage
        self._gate = runtime.gate
        self._clock = runtime.clock
        self._known = runtime.queues

    async def create(self, identity: Identity, spec: QueueSpec) -> Queue:
        """Make a queue; raises QueueExists, TooManyQueues."""
        return await self.put(identity, spec, expect=0)

    async def put(self, identity: Identity, spec: QueueSpec, *, expect: int | None = None) -> Queue:
        """Make a queue or replace its policy; `expect` as in `Storage.put_queue`. Raises
        VersionMismatch, and TooManyQueues if it had to be made."""
        check_queue(spec.name, msgspec.structs.asdict(spec.policy))
        await self._begin(identity, "manage", spec.name)
        self._check_capabilities(spec)
        while True:
            found = await self._storage.get_queues(names=[spec.name], now=self._clock.now())
            before = found[0].queue if found else None
            await self._check_dead_letters(identity, spec, before)
            if expect is not None:
                _demand_version(spec.name, before, expect)
            if before is None:
                put = self._make(identity, spec)
            else:
                put = self._put(identity, spec, before)
            try:
                return await self._runtime.tasks.finish(put)
            except (QueueExists, VersionMismatch):
                if expect is not None:
                    raise

    async def patch(
        self, identity: Identity, name: str, changes: dict[str, Any], *, expect: int | None = None
    ) -> Queue:
        """Change some of a policy; raises VersionMismatch if `expect` is not the version."""
        check_queue(name, changes)
        await self._begin(identity, "manage", name)
        while True:
            queue = (await self._known.status(name)).queue
            if expect is not None and queue.version != expect:
                raise VersionMismatch(name, expected=expect, found=queue.version)
            spec = QueueSpec(name, msgspec.structs.replace(queue.policy, **changes))
            self._check_capabilities(spec)
            await self._check_dead_letters(identity, spec, queue)
            try:
                return await self._runtime.tasks.finish(self._put(identity, spec, queue))
            except VersionMismatch:
                if expect is not None:
                    raise

    async def pause(self, identity: Identity, name: str, *, paused: bool = True) -> bool:
        """Stop leasing from a queue, or go on with it; tell whether that was a change."""
        await self._begin(identity, "manage", name)
        while True:
            queue = (await self._known.status(name)).queue
            if queue.policy.paused == paused:
                return False
            spec = QueueSpec(name, msgspec.structs.replace(queue.policy, paused=paused))
            try:
                await self._runtime.tasks.finish(self._put(identity, spec, queue))
            except VersionMismatch:
                continue
            return True

    async def status(self, identity: Identity, name: str) -> QueueStatus:
        """Return one queue with its counts to who manages it, as a part of what was paid for."""
        self._gate.permit(identity, "manage", name)
        return await self._known.status(name)

    async def get(self, identity: Identity, name: str) -> QueueStatus:
        """Return one queue with its counts; raises QueueNotFound."""
        await self._begin(identity, "read", name)
        return await self._known.status(name)

    async def get_each(
        self, identity: Identity, names: Sequence[str]
    ) -> Sequence[QueueStatus | BrokerError]:
        """Return queues with their counts, each as `get` does, or what `get` would raise for it;
        the storage is called once."""
        refusals = await self._gate.refuse_each(
            identity, "read", names, [queue_name_refusal(name) for name in names]
        )
        pairs = list(zip(names, refusals, strict=True))
        found = await self._known.statuses({name for name, refusal in pairs if refusal is None})
        return [refusal or found.get(name) or QueueNotFound(name) for name, refusal in pairs]

    async def list(
        self, identity: Identity, *, prefix: str = "", after: str | None = None, limit: int = 100
    ) -> list[QueueStatus]:
        """List the queues that the identity may read, by name; fewer than `limit` means the end."""
        check_prefix(prefix)
        await self._gate.spend(identity, "read", None)
        found: list[QueueStatus] = []
        pages = pages_of_queues(self._storage, self._clock, prefix=prefix, after=after)
        async with aclosing(pages):
            async for page in pages:
                found += [
                    one for one in page if self._gate.permits(identity, "read", one.queue.name)
                ]
                if len(found) >= limit:
                    break
        return found[:limit]

    async def summary(self, identity: Identity) -> Summary:
        """Return the numbers of all queues together, as they are now; raises Forbidden unless the
        identity may "admin"."""
        self._gate.permit(identity, "admin", None)
        await self._gate.spend(identity, "read", None)
        return await self._lookout.summary()

    async def overview(self) -> Overview:
        """Return all queues, as they were a second ago at most, unless the storage is slow.

        Nobody pays for it and nobody's permission is asked: show a client only what
        `Broker.permits` it to read.
        """
        return await self._lookout.overview()

    async def drop(self, identity: Identity, name: str, *, expect: int | None = None) -> None:
        """Delete a queue with all that it holds; raises QueueNotFound, and VersionMismatch if
        it is not at version `expect` when this begins."""
        await self._begin(identity, "manage", name)
        found = (await self._known.status(name)).queue.version
        if expect is not None and expect != found:
            raise VersionMismatch(name, expected=expect, found=found)
        await self._runtime.tasks.finish(self._drop(identity, name))

    async def purge(
        self,
        identity: Identity,
        name: str,
        *,
        states: tuple[StateFilter, ...] = ("pending",),
        older_than: float | None = None,
    ) -> int:
        """Remove all messages that are in these states now; return how many.

        With `older_than`, in seconds, only those that were finished longer ago: the states can
        then be processed and failed only.
        """
        check_purge(name, states, older_than)
        finished_before = None
        if older_than is not None:
            finished_before = self._clock.now() - round(older_than * 1000)
        query = MessageQuery(queue=name, states=states, finished_before=finished_before)
        return await self._bulk(identity, query, "delete", "queue.purged")

    async def redrive(self, identity: Identity, name: str) -> int:
        """Bring the failed messages and dead letters in a queue back to where they came from."""
        query = MessageQuery(queue=name)
        return await self._bulk(identity, query, "redrive", "queue.redriven")

    async def policy(self, name: str) -> QueuePolicy:
        """Return a queue's policy, from memory when it is known; raises QueueNotFound."""
        return await self._known.policy(name)

    async def _begin(
        self, identity: Identity, action: Literal["read", "manage"], name: str
    ) -> None:
        check_queue_name(name)
        await self._gate.spend(identity, action, name)
        self._gate.permit(identity, action, name)

    def _check_capabilities(self, spec: QueueSpec) -> None:
        if spec.policy.ordering == "group_fifo" and "groups" not in self._storage.capabilities:
            raise Unsupported(self._runtime.storage_name, "groups", "ordering")

    async def _check_dead_letters(
        self, identity: Identity, spec: QueueSpec, before: Queue | None
    ) -> None:
        target = spec.policy.dead_letter_queue
        if target is None or (before is not None and before.policy.dead_letter_queue == target):
            return
        problem = None
        if target == spec.name:
            problem = "a queue cannot be its own dead letter queue"
        elif not self._gate.sees(identity, target) or not await self._exists(target):
            problem = "there is no such queue; create it first"
        if problem:
            raise Invalid([FieldError("dead_letter_queue", problem, target)])
        # What fails here is published there.
        self._gate.permit(identity, "publish", target)

    async def _exists(self, name: str) -> bool:
        return bool(await self._storage.get_queues(names=[name], now=self._clock.now()))

    async def _make(self, identity: Identity, spec: QueueSpec) -> Queue:
        async with self._census.room():
            return await self._put(identity, spec, None)

    async def _put(self, identity: Identity, spec: QueueSpec, before: Queue | None) -> Queue:
        """Replace what was read `before`, and only that: so it is known what the change is."""
        expect = 0 if before is None else before.version
        queue = await self._storage.put_queue(spec, expect=expect, now=self._clock.now())
        if before is None:
            self._census.note(1)
        self._known.remember(queue)
        self._runtime.waiting.wake_line(spec.name)
        kind: EventKind = "queue.created" if before is None else "queue.updated"
        self._runtime.observe(identity, kind, spec.name)
        was_paused = before is not None and before.policy.paused
        if spec.policy.paused != was_paused:
            kind = "queue.paused" if spec.policy.paused else "queue.resumed"
            self._runtime.observe(identity, kind, spec.name)
        return queue

    async def _drop(self, identity: Identity, name: str) -> None:
        # In pieces first, so that others get their turn; the rest goes with the queue.
        async for _ in in_pieces(self._runtime, MessageQuery(queue=name), "delete"):
            pass
        existed = await self._storage.drop_queue(name)
        self._known.forget(name)
        if not existed:
            raise QueueNotFound(name)
        self._census.note(-1)
        self._runtime.holders.doubt(name)
        self._runtime.waiting.wake_line(name)
        self._runtime.observe(identity, "queue.deleted", name)

    async def _bulk(
        self,
        identity: Identity,
        query: MessageQuery,
        action: Literal["delete", "redrive"],
        kind: EventKind,
    ) -> int:
        assert query.queue is not None
        await self._begin(identity, "manage", query.queue)
        work = do_in_bulk(self._runtime, identity, query, action, kind)
        return await self._runtime.tasks.finish(work)


def _demand_version(name: str, found: Queue | None, expect: int) -> None:
    if expect == 0 and found is not None:
        raise QueueExists(name)
    version = None if found is None else found.version
    if expect and expect != version:
        raise VersionMismatch(name, expected=expect, found=version)
