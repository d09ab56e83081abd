"""Counting in a place that may go away, and elsewhere while it is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from broker import Clock

from broker_ratelimit.counters import Claim, Count, Counters
from broker_ratelimit.redis_counters import TIMEOUT_SECONDS, RedisCounters

RETRY_MS = 1_000
"""How long after a failed try comes the next one."""


class Breaker(Counters):
    """Counts in Redis until a take fails there; from then on elsewhere, without asking Redis, until
    one that serves no request succeeds there.

    So only those who ask while it goes away wait for it.
    """

    def __init__(
        self,
        shared: RedisCounters,
        meanwhile: Counters,
        *,
        consequence: str,
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        """`consequence`: what `meanwhile` is for those who spend."""
        self._shared = shared
        self._meanwhile = meanwhile
        self._consequence = consequence
        self._clock = clock
        self._logger = logger
        self._lost = asyncio.Event()
        self._problem = ""
        self._probing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open both; that Redis does not answer now is no reason not to start."""
        await self._meanwhile.open()
        try:
            await self._shared.open()
        except OSError as error:
            self._lose(error)
        self._probing = asyncio.create_task(self._probe())

    async def close(self) -> None:
        """Close both."""
        if self._probing is not None:
            self._probing.cancel()
            with suppress(asyncio.CancelledError):
                await self._probing
        try:
            await self._shared.close()
        finally:
            await self._meanwhile.close()

    def notice(self) -> str | None:
        """Say that Redis does not answer."""
        return self._problem if self._lost.is_set() else None

    async def ping(self) -> None:
        """Raise Unavailable if nobody is let through until Redis is back."""
        if self._lost.is_set():
            await self._meanwhile.ping()

    async def take(self, claims: Sequence[Claim]) -> tuple[bool, list[Count]]:
        """Take all or nothing where it can be counted now."""
        if not self._lost.is_set():
            try:
                return await self._shared.take(claims)
            except OSError as error:
                self._lose(error)
        return await self._meanwhile.take(claims)

    def _lose(self, error: Exception) -> None:
        if self._lost.is_set():
            return  # of those who asked at once, the first has said so
        reason = str(error).rstrip(".") or f"no answer within {TIMEOUT_SECONDS:g} s"
        place = f"Redis at {self._shared.place}"
        self._problem = f"{place} does not count ({reason}); {self._consequence}"
        self._lost.set()
        self._logger.warning("%s", self._problem)

    async def _probe(self) -> None:
        while True:
            await self._lost.wait()
            await self._clock.sleep_until(self._clock.now() + RETRY_MS)
            with suppress(OSError):
                await self._shared.try_again()
                self._lost.clear()
                self._logger.info("Redis at %s counts again", self._shared.place)
