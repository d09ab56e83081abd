"""Storages that take too much, too little or too often: dedup, batches, limits, ids, queues."""

from collections.abc import Sequence
from typing import Any

from broker import NewMessage, PublishResult, Queue, QueueFull, Settle, Settled
from broker.builtin.memory import MemoryStorage
from broker.builtin.memory.keys import DedupKeys


class ForgetsDedupKeysAtAck(MemoryStorage):
    async def settle(self, ops: Sequence[Settle], **options: Any) -> Settled:
        settled = await super().settle(ops, **options)
        for op in ops:
            if op.kind == "ack" and op.queue in self._store.queues:
                self._store.queues[op.queue].keys = DedupKeys()
        return settled


class RemembersDedupKeysAcrossQueues(MemoryStorage):
    def __init__(self) -> None:
        super().__init__()
        self.keys = DedupKeys()

    async def put_queue(self, *args: Any, **options: Any) -> Queue:
        queue = await super().put_queue(*args, **options)
        self._store.queues[queue.name].keys = self.keys
        return queue


class PublishesBatchesOneByOne(MemoryStorage):
    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        results = []
        for message in batch:
            results += await super().publish([message], now=now)
        return results


class RefusesToPublishWhilePaused(MemoryStorage):
    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        for message in batch:
            if self._store.queue(message.queue, now).policy.paused:
                raise QueueFull(message.queue, "it is paused")
        return await super().publish(batch, now=now)


class GivesIdsAgainAfterADrop(MemoryStorage):
    async def drop_queue(self, name: str) -> bool:
        is_dropped = await super().drop_queue(name)
        self._store.next_message_id = max(self._store.rows, default=0) + 1
        return is_dropped


class GivesQueueIdsAgainAfterADrop(MemoryStorage):
    async def drop_queue(self, name: str) -> bool:
        is_dropped = await super().drop_queue(name)
        ids = [queue.queue.id for queue in self._store.queues.values()]
        self._store.next_queue_id = max(ids, default=0) + 1
        return is_dropped


class KeepsDedupKeysOfADroppedQueue(MemoryStorage):
    def __init__(self) -> None:
        super().__init__()
        self.dropped: dict[str, DedupKeys] = {}

    async def drop_queue(self, name: str) -> bool:
        if name in self._store.queues:
            self.dropped[name] = self._store.queues[name].keys
        return await super().drop_queue(name)

    async def put_queue(self, *args: Any, **options: Any) -> Queue:
        queue = await super().put_queue(*args, **options)
        if queue.name in self.dropped:
            self._store.queues[queue.name].keys = self.dropped.pop(queue.name)
        return queue


class IgnoresVersions(MemoryStorage):
    async def put_queue(self, *args: Any, expect: int | None, now: int) -> Queue:
        return await super().put_queue(*args, expect=expect and None, now=now)


class CountsLeasedMessagesAgainstTheLimit(MemoryStorage):
    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        for message in batch:
            queue = self._store.queue(message.queue, now)
            most = queue.policy.max_messages
            if most is not None and len(queue.pending) + len(queue.leased) >= most:
                raise QueueFull(message.queue, f"max_messages is {most}")
        return await super().publish(batch, now=now)
