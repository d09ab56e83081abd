"""Observers that lose nothing: one that waits for its file, one that leaves that to a task."""

import asyncio
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from broker import Event, Observer


class Writes(Observer):
    """Writes the events to a file as they come, a line each."""

    encoding = "utf-8"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: TextIOWrapper | None = None

    async def open(self) -> None:
        self.file = self.path.open("a", encoding=self.encoding)

    async def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def notify(self, events: Sequence[Event]) -> None:
        if self.file is not None:
            self.file.writelines(f"{event!r}\n" for event in events)


class Relays(Observer):
    """Hands the events to a task, which counts them."""

    in_loop = True

    def __init__(self) -> None:
        self.counted = 0
        self.waiting: asyncio.Queue[Event | None] = asyncio.Queue()
        self.working: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self.working = asyncio.create_task(self.work())

    async def close(self) -> None:
        if self.working is not None:
            self.waiting.put_nowait(None)
            await self.working

    def notify(self, events: Sequence[Event]) -> None:
        for event in events:
            self.waiting.put_nowait(event)

    async def work(self) -> None:
        while await self.waiting.get() is not None:
            self.counted += 1
