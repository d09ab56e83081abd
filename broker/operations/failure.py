"""The end of a storage that gave up: told once, and waited for by whoever must stop then."""

from __future__ import annotations

import asyncio
import logging

from broker.errors import StorageFailed

logger = logging.getLogger("broker.storage")


class Failure:
    """Remembers the first StorageFailed."""

    def __init__(self) -> None:
        self._error: StorageFailed | None = None
        self._noted = asyncio.Event()

    def note(self, error: StorageFailed) -> None:
        """Keep the first, and tell the log of it and those who wait."""
        if self._error is None:
            self._error = error
            logger.critical("%s", error.problem)
            self._noted.set()

    async def wait(self) -> StorageFailed:
        """Return the error once there is one."""
        while self._error is None:
            await self._noted.wait()
        return self._error
