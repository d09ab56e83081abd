"""Storages that lose, double or miscount what ends: dead letters, ttl, retention, purge."""

import asyncio
from collections.abc import Sequence
from typing import Any

from broker import BulkResult, Maintenance, Settle, Settled, SettleResult
from broker.builtin.memory import MemoryStorage


class MovesDeadLettersInTwoSteps(MemoryStorage):
    """Between them a letter is nowhere, and stays nowhere if its caller goes away then."""

    async def settle(self, ops: Sequence[Settle], **options: Any) -> Settled:
        settled = await super().settle(ops, **options)
        moved = [
            op.id for op, result in zip(ops, settled.results, strict=True) if is_moved(op, result)
        ]
        letters = [self._store.rows.pop(message_id) for message_id in moved]
        for letter in letters:
            self._store.queues[letter.queue].remove(letter)
        await asyncio.sleep(0)
        for letter in letters:
            self._store.insert(letter)
        return settled


def is_moved(op: Settle, result: SettleResult) -> bool:
    return result.queue not in (None, op.queue)


class GivesDeadLettersNewIds(MemoryStorage):
    async def settle(self, ops: Sequence[Settle], **options: Any) -> Settled:
        settled = await super().settle(ops, **options)
        for op, result in zip(ops, settled.results, strict=True):
            if is_moved(op, result):
                row = self._store.rows[op.id]
                self._store.remove(row)
                row.id = self._store.next_message_id
                self._store.next_message_id += 1
                self._store.insert(row)
        return settled


class PurgesWithoutCounting(MemoryStorage):
    async def bulk(self, query: Any, action: str, **options: Any) -> list[BulkResult]:
        before = {name: queue.totals["deleted"] for name, queue in self._store.queues.items()}
        done = await super().bulk(query, action, **options)
        for name, queue in self._store.queues.items():
            queue.totals["deleted"] = before[name]
        return done


class PurgesWithoutCountingBytes(MemoryStorage):
    async def bulk(self, query: Any, action: str, **options: Any) -> list[BulkResult]:
        before = {name: queue._bytes for name, queue in self._store.queues.items()}
        done = await super().bulk(query, action, **options)
        for name, queue in self._store.queues.items():
            queue._bytes = before[name]
        return done


class RedrivesWithTheOldCount(MemoryStorage):
    async def bulk(self, query: Any, action: str, **options: Any) -> list[BulkResult]:
        before = {row.id: row.delivery_count for row in self._store.rows.values()}
        done = await super().bulk(query, action, **options)
        for row in self._store.rows.values():
            row.delivery_count = before[row.id]
        return done


class ExpiresWhatIsLeased(MemoryStorage):
    async def maintain(self, *, now: int, limit: int) -> Maintenance:
        for row in list(self._store.rows.values()):
            if row.state == "processing" and row.is_expired(now):
                self._store.expire(row, now)
        return await super().maintain(now=now, limit=limit)


class RetainsFromTheBeginningOfAMessage(MemoryStorage):
    async def maintain(self, *, now: int, limit: int) -> Maintenance:
        for queue in self._store.queues.values():
            for row_id in [*queue.processed]:
                queue.processed.put(row_id, self._store.rows[row_id].enqueued_at)
        return await super().maintain(now=now, limit=limit)


class CountsTheSameLapseAgain(MemoryStorage):
    async def maintain(self, *, now: int, limit: int) -> Maintenance:
        done = await super().maintain(now=now, limit=limit)
        for queue in self._store.queues.values():
            queue.totals["lapsed"] += sum(row.is_lapsed for row in queue.rows())
        return done
