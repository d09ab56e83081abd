"""SQLite storages that answer before they are sure."""

from collections.abc import Sequence

from broker import NewMessage, PublishResult
from broker_storage_sqlite.storage import SQLiteStorage


class Forgetful(SQLiteStorage):
    """Has in memory only what these statements take away when the process ends."""

    forget: Sequence[str]

    async def close(self) -> None:
        if self._writer.is_running:
            await self._writer.run(lambda tx: [tx.execute(statement) for statement in self.forget])
        await super().close()


class ForgetsDeliveryCounts(Forgetful):
    forget = ("UPDATE messages SET delivery_count = 0",)


class ForgetsLeases(Forgetful):
    forget = (
        "UPDATE messages SET status = 'pending', shelf = 1, token = NULL WHERE shelf = 3",
        "UPDATE queues SET pending = pending + processing, processing = 0",
    )


class ForgetsDedupKeys(Forgetful):
    forget = ("DELETE FROM dedup",)


class ForgetsWhichIdsItGave(Forgetful):
    forget = ("DELETE FROM sqlite_sequence",)


class ForgetsTotals(Forgetful):
    forget = ("UPDATE queues SET total_delivered = 0",)


class CommitsEachMessageOfABatch(SQLiteStorage):
    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        results = []
        for message in batch:
            results += await super().publish([message], now=now)
        return results
