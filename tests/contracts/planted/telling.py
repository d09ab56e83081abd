"""Storages that do what they should and say something else."""

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from broker import BulkResult, Ended, LeaseResult, Maintenance, Settle, Settled
from broker.builtin.memory import MemoryStorage
from broker_storage_sqlite.storage import SQLiteStorage


class TellsNothingOfWhatALeaseEnded(MemoryStorage):
    async def lease(self, queue: str, **options: Any) -> LeaseResult:
        return replace(await super().lease(queue, **options), ended=())


class TellsAgainWhatALeaseEnded(MemoryStorage):
    def __init__(self) -> None:
        super().__init__()
        self.ended: tuple[Ended, ...] = ()

    async def lease(self, queue: str, **options: Any) -> LeaseResult:
        result = await super().lease(queue, **options)
        self.ended += result.ended
        return result

    async def maintain(self, **options: Any) -> Maintenance:
        done = await super().maintain(**options)
        again, self.ended = self.ended, ()
        return replace(done, ended=(*again, *done.ended))


class TellsNothingOfWhatMaintainEnded(SQLiteStorage):
    async def maintain(self, **options: Any) -> Maintenance:
        return replace(await super().maintain(**options), ended=())


class TellsWhereADeadLetterIsInsteadOfWhereItWas(MemoryStorage):
    async def maintain(self, **options: Any) -> Maintenance:
        done = await super().maintain(**options)
        ended = tuple(replace(one, queue=one.moved_to or one.queue) for one in done.ended)
        return replace(done, ended=ended)


class TellsTheFirstOriginOfALetter(MemoryStorage):
    async def maintain(self, **options: Any) -> Maintenance:
        done = await super().maintain(**options)
        origins = {row.id: row.origin_queue for row in self._store.rows.values()}
        ended = tuple(replace(one, queue=origins.get(one.id) or one.queue) for one in done.ended)
        return replace(done, ended=ended)


class TellsTheDeadLetterQueueOfThePolicy(MemoryStorage):
    """Whether or not there is one of that name."""

    async def maintain(self, **options: Any) -> Maintenance:
        done = await super().maintain(**options)
        ended = tuple(replace(one, moved_to=self.target(one.queue)) for one in done.ended)
        return replace(done, ended=ended)

    def target(self, queue: str) -> str | None:
        return self._store.queues[queue].policy.dead_letter_queue


class TellsOfWhatOthersEndMeanwhile(MemoryStorage):
    """It compares what there was with what there is, and others come between."""

    async def maintain(self, **options: Any) -> Maintenance:
        before = {row.id: row.queue for row in self._store.rows.values() if row.state == "pending"}
        done = await super().maintain(**options)
        await asyncio.sleep(0)
        told = {one.id for one in done.ended}
        others = tuple(
            Ended(id=key, queue=queue, how="expired", reason="ttl passed")
            for key, queue in before.items()
            if key not in told and key not in self._store.rows
        )
        return replace(done, ended=(*done.ended, *others))


class TellsThatWhatExpiredHasFailed(MemoryStorage):
    async def maintain(self, **options: Any) -> Maintenance:
        done = await super().maintain(**options)
        return replace(done, ended=tuple(replace(one, how="failed") for one in done.ended))


class TellsTheReasonOfTheLastRetry(SQLiteStorage):
    async def settle(self, ops: Sequence[Settle], **options: Any) -> Settled:
        settled = await super().settle(ops, **options)
        pairs = zip(ops, settled.results, strict=True)
        results = [replace(result, reason=op.reason) for op, result in pairs]
        return replace(settled, results=results)


class TellsLapsesOfTheWrongQueue(MemoryStorage):
    async def maintain(self, **options: Any) -> Maintenance:
        done = await super().maintain(**options)
        some = next(iter(self._store.queues), "")
        count = sum(done.lapsed.values())
        return replace(done, lapsed={some: count} if count else {})


class TellsWhatItPublishedAsNew(MemoryStorage):
    async def settle(self, ops: Sequence[Settle], **options: Any) -> Settled:
        settled = await super().settle(ops, **options)
        published = [replace(result, duplicate=False) for result in settled.published]
        return replace(settled, published=published)


class TellsOfNothingThatASettlePublished(SQLiteStorage):
    async def settle(self, ops: Sequence[Settle], **options: Any) -> Settled:
        return replace(await super().settle(ops, **options), published=[])


class TellsWhereRedrivenWere(MemoryStorage):
    async def bulk(self, *args: Any, **options: Any) -> list[BulkResult]:
        queues = {row.id: row.queue for row in self._store.rows.values()}
        done = await super().bulk(*args, **options)
        return [BulkResult(id=one.id, queue=queues[one.id]) for one in done]


class TellsTheQueueThatWasAskedFor(MemoryStorage):
    async def bulk(self, query: Any, action: Any, **options: Any) -> list[BulkResult]:
        done = await super().bulk(query, action, **options)
        return [replace(one, queue=query.queue or done[0].queue) for one in done]
