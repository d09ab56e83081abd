"""The rate limiter: which limits apply to what, and whose they are to spend."""

from __future__ import annotations

from fnmatch import fnmatchcase

from broker import Allowance, Clock, Quota, RateLimiter, Spending
from limits import parse_many

from broker_ratelimit.config import LimitConfig, RateLimitConfig
from broker_ratelimit.counters import Claim, Count, Window
from broker_ratelimit.memory import MemoryCounters
from broker_ratelimit.sliding import reset_ms, spent, wait_ms


class Limiter(RateLimiter):
    """Takes what is spent from every limit that applies."""

    def __init__(self, config: RateLimitConfig, *, clock: Clock) -> None:
        self._limits = [_Limit(name, limit) for name, limit in config.all_limits.items()]
        self._counters = MemoryCounters(clock)

    async def spend(self, spending: Spending) -> Allowance:
        """Take the cost from all limits that apply, or from none."""
        limits = [limit for limit in self._limits if limit.applies(spending)]
        if not limits:
            return Allowance(allowed=True)
        claims = [limit.claim(spending) for limit in limits]
        allowed, counts = await self._counters.take(claims)
        places = [
            (limit, window, claim.cost)
            for limit, claim in zip(limits, claims, strict=True)
            for window in claim.windows
        ]
        waits = [
            wait_ms(window, count, cost)
            for (_, window, cost), count in zip(places, counts, strict=True)
        ]
        return Allowance(
            allowed=allowed,
            quotas=tuple(
                limit.quota(window, count)
                for (limit, window, _), count in zip(places, counts, strict=True)
            ),
            retry_after=None if allowed or None in waits else max(filter(None, waits)) / 1000,
        )


class _Limit:
    def __init__(self, name: str, config: LimitConfig) -> None:
        self._name = name
        self._config = config
        self._windows = tuple(
            Window(item.amount, item.get_expiry()) for item in parse_many(config.rate)
        )

    def applies(self, spending: Spending) -> bool:
        queues = self._config.queues
        return spending.activity in self._config.activities and (
            not queues
            or (
                spending.queue is not None
                and any(fnmatchcase(spending.queue, glob) for glob in queues)
            )
        )

    def claim(self, spending: Spending) -> Claim:
        cost = spending.cost if self._config.cost == "messages" else 1
        return Claim(f"{self._name}:{self._owner(spending)}", self._windows, cost)

    def quota(self, window: Window, count: Count) -> Quota:
        several = len(self._windows) > 1
        return Quota(
            name=f"{self._name}-{window.seconds}s" if several else self._name,
            limit=window.amount,
            window_seconds=window.seconds,
            remaining=max(0, window.amount - spent(window, count)),
            reset_seconds=reset_ms(window, count) / 1000,
        )

    def _owner(self, spending: Spending) -> str:
        identity = spending.identity
        if identity is None or identity.is_anonymous or self._config.key == "address":
            return f"address:{spending.peer}"
        if self._config.key == "both":
            return f"both:{identity.subject}:{spending.peer}"
        return f"identity:{identity.subject}"
