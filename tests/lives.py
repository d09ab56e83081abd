"""Brokers' databases that end without a warning, and what is left of them on the disk."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from broker import NewMessage, QueueSpec
from broker_storage_sqlite.config import Durability
from broker_storage_sqlite.storage import SQLiteStorage


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def take(source: Path, target: Path) -> None:
    """Copy a database with what is beside it, as it is on the disk at this moment."""
    for suffix in ("", "-wal", ".lock"):
        beside(target, suffix).unlink(missing_ok=True)
        if beside(source, suffix).exists():
            shutil.copyfile(beside(source, suffix), beside(target, suffix))


class Life:
    """A broker's life on a database of its own, which ends without a warning."""

    def __init__(self, directory: Path, *, durability: Durability = "full") -> None:
        directory.mkdir(exist_ok=True)
        self.path = directory / "broker.db"
        self.storage = SQLiteStorage(self.path, durability=durability)

    async def __aenter__(self) -> "Life":
        await self.storage.open()
        await self.storage.put_queue(QueueSpec("q"), expect=None, now=0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.storage.close()

    async def publish(self, *bodies: bytes) -> None:
        for body in bodies:
            await self.storage.publish([NewMessage(queue="q", body=body, visible_at=0)], now=0)

    def checkpoint(self) -> None:
        with closing(sqlite3.connect(self.path)) as sql:
            sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def end(self, path: Path) -> None:
        """Leave at `path` what a kill at this moment would leave."""
        take(self.path, path)
