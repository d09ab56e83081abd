"""How a broker learns of what another process changed: by a number that every change increments."""

from __future__ import annotations

from broker_auth_jwt.database import Database, Transaction
from broker_auth_jwt.engine import Counter


async def count_change(tx: Transaction) -> None:
    """Count what a transaction changes, so that no broker relies on what it remembers."""
    await tx.execute("UPDATE broker_accounts SET changes = changes + 1")


class Changes:
    """Counts revocations, and changes of passwords, grants, users and keys; nothing else."""

    def __init__(self, database: Database, counter: Counter) -> None:
        self._database = database
        self._counter = counter

    async def current(self) -> int:
        """Return the number now. What was read while it was the same is still so.

        Whatever another process has committed before this was called is in it. Raises Unavailable.
        """
        return await self._counter.read()

    async def increment(self) -> None:
        """Count a change of something that is kept elsewhere: the signing keys."""
        await self._database.change(count_change)
