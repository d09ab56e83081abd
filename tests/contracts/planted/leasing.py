"""Storages that hand out the wrong messages, or at the wrong time."""

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from broker import LeaseResult, NewMessage, Page, PublishResult, Queue
from broker.builtin.memory import MemoryStorage


class LeasesTheLastFirst(MemoryStorage):
    async def lease(self, queue: str, **options: Any) -> LeaseResult:
        result = await super().lease(queue, **options)
        return replace(result, leases=result.leases[::-1])


class IgnoresPriority(MemoryStorage):
    async def put_queue(self, *args: Any, **options: Any) -> Queue:
        queue = await super().put_queue(*args, **options)
        self._store.queues[queue.name].ready.reorder(by_priority=False)
        return queue


class IgnoresDelays(MemoryStorage):
    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        return await super().publish(
            [replace(message, visible_at=now) for message in batch], now=now
        )


class PassesDelayedHeadsOfGroups(MemoryStorage):
    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        heads = [message.visible_at > now for message in batch]
        batch = [
            replace(message, group=None) if is_delayed else message
            for message, is_delayed in zip(batch, heads, strict=True)
        ]
        return await super().publish(batch, now=now)


class LeasesAMillisecondTooLong(MemoryStorage):
    async def lease(self, queue: str, *, lease_until: int, **options: Any) -> LeaseResult:
        return await super().lease(queue, lease_until=lease_until + 1, **options)


class LeasesAMillisecondTooShort(MemoryStorage):
    async def lease(self, queue: str, *, lease_until: int, **options: Any) -> LeaseResult:
        return await super().lease(queue, lease_until=lease_until - 1, **options)


class DoesNotCountDeliveries(MemoryStorage):
    async def lease(self, queue: str, **options: Any) -> LeaseResult:
        result = await super().lease(queue, **options)
        for lease in result.leases:
            self._store.rows[lease.message.id].delivery_count = 1
        return replace(
            result,
            leases=[
                replace(lease, message=replace(lease.message, delivery_count=1))
                for lease in result.leases
            ],
        )


class TakesItsTimeToWithdrawWhatItLeased(MemoryStorage):
    """Others who come meanwhile lease the same messages."""

    async def lease(self, queue: str, **options: Any) -> LeaseResult:
        result = await super().lease(queue, **options)
        ready = self._store.queues[queue].ready
        rows = [self._store.rows[lease.message.id] for lease in result.leases]
        for row in rows:
            ready.put(row, visible=True)
        await asyncio.sleep(0)
        for row in rows:
            ready.drop(row)
        return result


class GivesAMessageTheSameTokenAgain(MemoryStorage):
    async def lease(self, queue: str, **options: Any) -> LeaseResult:
        result = await super().lease(queue, **options)
        for lease in result.leases:
            self._store.rows[lease.message.id].token = token_of(lease.message.id)
        return replace(
            result,
            leases=[replace(lease, token=token_of(lease.message.id)) for lease in result.leases],
        )


def token_of(message_id: int) -> bytes:
    return message_id.to_bytes(16, "big")


class CountsLapsedLeasesAsInFlight(MemoryStorage):
    async def lease(self, queue: str, *, limit: int, **options: Any) -> LeaseResult:
        source = self._store.queue(queue, options["now"])
        most = source.policy.max_in_flight
        if most is not None:
            limit = min(limit, most - sum(row.is_lapsed for row in source.rows()))
        return await super().lease(queue, limit=limit, **options)


class LeasesFromPausedQueues(MemoryStorage):
    async def put_queue(self, spec: Any, **options: Any) -> Queue:
        unpaused = replace(spec, policy=replace(spec.policy, paused=False))
        queue = await super().put_queue(unpaused, **options)
        return replace(queue, policy=spec.policy)


class LeasesWhatIsBrowsed(MemoryStorage):
    async def browse(self, *args: Any, now: int) -> Page:
        page = await super().browse(*args, now=now)
        for message in page.messages:
            self._store.queues[message.queue].ready.drop(self._store.rows[message.id])
        return page


class LooksPastAllThatIsDelayed(MemoryStorage):
    async def lease(self, queue: str, *, now: int, **options: Any) -> LeaseResult:
        times = [row.visible_at for row in self._store.queue(queue, now).rows()]
        result = await super().lease(queue, now=now, **options)
        later = [time for time in times if time > now]
        return replace(result, next_visible_at=min(later)) if later else result
