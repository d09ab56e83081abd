"""The contract, kept by a storage that can do nothing beyond the mandatory, and says so."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from broker import (
    BulkResult,
    Capability,
    MessageQuery,
    NewMessage,
    Page,
    PublishResult,
    Settle,
    Settled,
    Storage,
    Unsupported,
)
from broker.builtin.memory import MemoryStorage
from broker.testing import ManualClock, StorageContract


class ModestStorage(MemoryStorage):
    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        return await super().publish([plain(message) for message in batch], now=now)

    async def settle(
        self, ops: Sequence[Settle], *, now: int, publish: Sequence[NewMessage] = ()
    ) -> Settled:
        batch = [plain(message) for message in publish]
        return await super().settle(ops, now=now, publish=batch)

    async def browse(self, query: MessageQuery, *, now: int) -> Page:
        refuse_text(query)
        return await super().browse(query, now=now)

    # As if it knew nothing of it.
    browse_each = Storage.browse_each

    async def bulk(
        self, query: MessageQuery, action: str, *, now: int, limit: int
    ) -> list[BulkResult]:
        refuse_text(query)
        return await super().bulk(query, action, now=now, limit=limit)


def plain(message: NewMessage) -> NewMessage:
    return msgspec.structs.replace(message, priority=4, group=None, dedup_key=None)


def refuse_text(query: MessageQuery) -> None:
    if query.text is not None:
        raise Unsupported("modest", "search", "text")


class TestModestStorage(StorageContract):
    race_messages = crowd_messages = 1000

    def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
        return ModestStorage()
