"""What a broker knows about itself: what it is made of, how its parts are, what it served."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import msgspec

from broker.provider import Provider
from broker.storage import Capability

PING_SECONDS = 2.0


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


async def check(providers: Sequence[tuple[str, Provider]]) -> dict[str, str | None]:
    """Ping every provider; return what is wrong with each, by plugin, None for nothing."""
    found: dict[str, str | None] = {}
    for name, provider in providers:
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
