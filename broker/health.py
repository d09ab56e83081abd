"""How a broker is: whether all its parts work, and whether it goes round at all."""

from __future__ import annotations

import asyncio
import logging

from broker.context import Clock
from broker.errors import BrokerError
from broker.isolation import is_from_outside
from broker.provider import Provider

PING_SECONDS = 2.0

HOLDS_MS = 1000
"""How long an answer of the providers holds."""

STUCK_MS = 300_000
"""How long the upkeep may stand still, which goes round each five seconds at least, also while the
storage is down: so long is no slow disk."""

logger = logging.getLogger("broker.health")


class Health:
    """Answers probes. However many ask, and anybody may, providers are pinged once a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._parts: list[_Part] = []
        self._found: dict[str, str | None] = {}
        self._holds_until: int | None = None
        self._asking = asyncio.Lock()
        self._turned_at = clock.now()

    def add(self, name: str, provider: Provider) -> None:
        """Ping this provider of a plugin, too."""
        self._parts.append(_Part(name, provider))

    async def check(self) -> dict[str, str | None]:
        """Return what is wrong with each provider, by plugin, None for nothing."""
        async with self._asking:
            if self._holds_until is None or self._clock.now() >= self._holds_until:
                self._found = await self._ask()
                self._holds_until = self._clock.now() + HOLDS_MS
            return self._found

    def turn(self) -> None:
        """Note that the upkeep goes round."""
        self._turned_at = self._clock.now()

    @property
    def is_stuck(self) -> bool:
        """Whether nothing has gone round for so long that only a restart can help."""
        return self._clock.now() - self._turned_at > STUCK_MS

    async def _ask(self) -> dict[str, str | None]:
        # All at one time: a prober has little patience, and several may hang.
        await asyncio.gather(*(part.ask() for part in self._parts))
        found: dict[str, str | None] = {}
        for part in self._parts:
            found[part.name] = found.get(part.name) or part.problem
        return found


class _Part:
    """A provider, and what was wrong with it when it was asked last."""

    def __init__(self, name: str, provider: Provider) -> None:
        self.name = name
        self.problem: str | None = None
        self._provider = provider

    async def ask(self) -> None:
        """Ping it, and tell the log of what has changed."""
        was_well = self.problem is None
        limit = asyncio.timeout(PING_SECONDS)
        try:
            async with limit:
                await self._provider.ping()
        except BaseException as error:
            if is_from_outside(error):
                raise
            # Whatever it raises is its answer.
            self.problem = (
                f"no answer within {PING_SECONDS:g} s" if limit.expired() else _told(error)
            )
            if was_well:
                cause = None if isinstance(error, BrokerError) else error
                text = 'plugin "%s" does not work now: %s'
                logger.warning(text, self.name, self.problem, exc_info=cause)
            return
        self.problem = None
        if not was_well:
            logger.info('plugin "%s" works again', self.name)


def _told(error: BaseException) -> str:
    """Say what is wrong, without what may hold a password; the log tells more."""
    if isinstance(error, BrokerError):
        return str(error)
    return getattr(error, "strerror", None) or type(error).__name__
