"""What is done instead of counting, while nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence

from broker import Unavailable

from broker_ratelimit.counters import Claim, Count, Counters


class LetPass(Counters):
    """Lets everything pass, and knows no counts."""

    async def take(self, _: Sequence[Claim]) -> tuple[bool, list[Count]]:
        """Allow it."""
        return True, []


class Refuse(Counters):
    """Lets nothing pass."""

    async def take(self, _: Sequence[Claim]) -> tuple[bool, list[Count]]:
        """Raise Unavailable: clients shall come again."""
        raise Unavailable("requests cannot be counted now, and none is let through uncounted")

    async def ping(self) -> None:
        """Raise Unavailable, for so is the broker."""
        await self.take(())
