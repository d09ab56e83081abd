"""SQLite storages that answer before they are sure."""

from collections.abc import Sequence
from shutil import rmtree

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


class LetsOthersReadItsFile(SQLiteStorage):
    async def open(self) -> None:
        await super().open()
        self._path.chmod(0o644)


class LetsItsGroupWriteWhatItLeaves(SQLiteStorage):
    async def close(self) -> None:
        await super().close()
        self._path.chmod(0o620)


class WritesADiaryForEverybody(SQLiteStorage):
    """In a folder beside it, while it is open."""

    async def open(self) -> None:
        await super().open()
        diary = self._path.with_suffix(".diary")
        diary.mkdir(exist_ok=True)
        (diary / "today").write_text("opened")

    async def close(self) -> None:
        await super().close()
        rmtree(self._path.with_suffix(".diary"), ignore_errors=True)


class CommitsEachMessageOfABatch(SQLiteStorage):
    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        results = []
        for message in batch:
            results += await super().publish([message], now=now)
        return results
