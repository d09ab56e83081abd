"""Storages that settle what they should not, or not what they should."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from broker import LeaseResult, NewMessage, Settle, Settled
from broker.builtin.memory import MemoryStorage


class ChecksNoToken(MemoryStorage):
    async def settle(self, ops: Sequence[Settle], **options: Any) -> Settled:
        return await super().settle([replace(op, token=None) for op in ops], **options)


class TakesTokensOfEarlierLeases(MemoryStorage):
    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[int, set[bytes | None]] = defaultdict(set)

    async def lease(self, queue: str, **options: Any) -> LeaseResult:
        result = await super().lease(queue, **options)
        for lease in result.leases:
            self.tokens[lease.message.id].add(lease.token)
        return result

    async def settle(self, ops: Sequence[Settle], **options: Any) -> Settled:
        return await super().settle(
            [replace(op, token=None) if op.token in self.tokens[op.id] else op for op in ops],
            **options,
        )


class ComparesTokensAndSettlesLater(MemoryStorage):
    """Whoever comes between is not noticed."""

    async def settle(
        self, ops: Sequence[Settle], *, now: int, publish: Sequence[NewMessage] = ()
    ) -> Settled:
        rows = [self._store.find(op.id, now) for op in ops]
        right = [
            row is not None and row.token == op.token for row, op in zip(rows, ops, strict=True)
        ]
        await asyncio.sleep(0)
        ops = [
            replace(op, token=None) if is_right else op
            for op, is_right in zip(ops, right, strict=True)
        ]
        return await super().settle(ops, now=now, publish=publish)


class ForgetsTheTokenOfAnAck(MemoryStorage):
    async def settle(self, ops: Sequence[Settle], **options: Any) -> Settled:
        settled = await super().settle(ops, **options)
        for row in self._store.rows.values():
            if row.state == "processed":
                row.token = None
        return settled


class TakesNoLateAck(MemoryStorage):
    async def settle(self, ops: Sequence[Settle], *, now: int, **options: Any) -> Settled:
        for op in ops:
            row = self._store.find(op.id, now)
            if row is not None and row.is_lapsed:
                row.token = None
        return await super().settle(ops, now=now, **options)


class SettlesBeforeItPublishes(MemoryStorage):
    async def settle(
        self, ops: Sequence[Settle], *, now: int, publish: Sequence[NewMessage] = ()
    ) -> Settled:
        settled = await super().settle(ops, now=now)
        return replace(settled, published=await self.publish(publish, now=now))


class ShortensLeases(MemoryStorage):
    async def settle(self, ops: Sequence[Settle], **options: Any) -> Settled:
        for op in ops:
            row = self._store.rows.get(op.id)
            if op.kind == "extend" and op.visible_at is not None and row is not None:
                row.visible_at = min(row.visible_at, op.visible_at)
        return await super().settle(ops, **options)


class CountsReleasedDeliveries(MemoryStorage):
    async def settle(self, ops: Sequence[Settle], **options: Any) -> Settled:
        settled = await super().settle(ops, **options)
        for op, result in zip(ops, settled.results, strict=True):
            if op.kind == "release" and result.outcome == "ok":
                self._store.rows[op.id].delivery_count += 1
        return settled
