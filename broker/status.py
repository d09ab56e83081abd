"""What a broker knows about itself: what it is made of, how its parts are, what it served."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import msgspec

from broker.context import Clock
from broker.provider import Provider
from broker.storage import Capability

PING_SECONDS = 2.0

HOLDS_MS = 1000
"""How long an answer of the providers holds."""


class PluginInfo(msgspec.Struct, frozen=True):
    """One plugin in use, and the distribution that it came with."""

    name: str
    distribution: str
    version: str


class BrokerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What this broker was assembled from."""

    version: str
    started_at: int
    storage: str
    capabilities: frozenset[Capability]
    plugins: tuple[PluginInfo, ...] = ()


class Served(msgspec.Struct):
    """Requests answered since the start."""

    requests: Counter[tuple[str, int]] = msgspec.field(default_factory=Counter)
    """By ("METHOD /route/{template}", status)."""
    last_error: tuple[str, int] | None = None
    """The newest unexpected error and when it was, in milliseconds."""


class Health:
    """How the providers are. However many ask, and anybody may, they are pinged once a second."""

    def __init__(self, providers: Sequence[tuple[str, Provider]], clock: Clock) -> None:
        self._providers = providers
        self._clock = clock
        self._found: dict[str, str | None] = {}
        self._holds_until: int | None = None
        self._asking = asyncio.Lock()

    async def check(self) -> dict[str, str | None]:
        """Return what is wrong with each provider, by plugin, None for nothing."""
        async with self._asking:
            if self._holds_until is None or self._clock.now() >= self._holds_until:
                self._found = await self._ask()
                self._holds_until = self._clock.now() + HOLDS_MS
            return self._found

    async def _ask(self) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for name, provider in self._providers:
            problem = await _ping(provider)
            found[name] = found.get(name) or problem
        return found


async def _ping(provider: Provider) -> str | None:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await provider.ping()
    except TimeoutError:
        return f"no answer within {PING_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001  # whatever it raises is its answer
        return f"{type(error).__name__}: {error}"
    return None
