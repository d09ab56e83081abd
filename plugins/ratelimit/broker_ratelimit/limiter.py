"""The rate limiter: which limits apply to what, and whose they are to spend."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from broker import Activity, Allowance, Quota, RateLimiter, Spending, address_key

from broker_ratelimit.config import LimitConfig, RateLimitConfig
from broker_ratelimit.counters import Claim, Count, Counters, Window
from broker_ratelimit.rates import split_rate
from broker_ratelimit.sliding import reset_ms, spent, wait_ms

FREE = Allowance(allowed=True)

LONGEST_NAME = 255
"""How long the name of a queue can be; whatever else somebody asks for is not remembered."""


class Limiter(RateLimiter):
    """Takes what is spent from every limit that applies."""

    def __init__(self, config: RateLimitConfig, *, counters: Counters) -> None:
        self._config = config
        self._counters = counters
        self._limits = tuple(_Limit(*named) for named in config.all_limits.items())
        self._limited = {activity for limit in self._limits for activity in limit.activities}
        self._applying = lru_cache(maxsize=4096)(self._find)

    async def open(self) -> None:
        """Begin to count."""
        await self._counters.open()

    async def close(self) -> None:
        """End counting."""
        await self._counters.close()

    async def notices(self) -> Sequence[str]:
        """Tell which limits are in force, and where they are counted."""
        limits = ", ".join(map(str, self._limits)) or "none"
        place = "in memory" if self._config.url is None else "in Redis"
        notice = self._counters.notice()
        return [f"limits: {limits}, counted {place}", *([] if notice is None else [notice])]

    async def ping(self) -> None:
        """Raise if nobody is let through."""
        await self._counters.ping()

    async def spend(self, spending: Spending) -> Allowance:
        """Take the cost from all limits that apply, or from none."""
        activity, queue = spending.activity, spending.queue
        if activity not in self._limited:
            return FREE
        is_name = queue is None or len(queue) <= LONGEST_NAME
        limits = (self._applying if is_name else self._find)(activity, queue)
        if not limits:
            return FREE
        claims = [limit.claim(spending) for limit in limits]
        allowed, counts = await self._counters.take(claims)
        if not counts:
            return Allowance(allowed=allowed)
        windows = [named for limit in limits for named in limit.named_windows]
        quotas = tuple(
            [_quota(name, w, count) for (name, w), count in zip(windows, counts, strict=True)]
        )
        if allowed:
            return Allowance(allowed=True, quotas=quotas)
        costs = [claim.cost for claim in claims for _ in claim.windows]
        waits = [
            wait_ms(window, count, cost)
            for (_, window), count, cost in zip(windows, counts, costs, strict=True)
        ]
        return Allowance(allowed=False, quotas=quotas, retry_after=_longest(waits))

    def _find(self, activity: Activity, queue: str | None) -> tuple[_Limit, ...]:
        return tuple(limit for limit in self._limits if limit.applies(activity, queue))


def _longest(waits: Sequence[int | None]) -> float | None:
    whole = [wait for wait in waits if wait is not None]
    # At least a millisecond: where others count, it may fit by now.
    return None if len(whole) < len(waits) else max(1, *whole) / 1000


def _quota(name: str, window: Window, count: Count) -> Quota:
    return Quota(
        name=name,
        limit=window.amount,
        window_seconds=window.seconds,
        remaining=max(0, window.amount - spent(window, count)),
        reset_seconds=reset_ms(window, count) / 1000,
    )


class _Limit:
    def __init__(self, name: str, config: LimitConfig) -> None:
        self.activities = config.activities
        self._name = name
        self._config = config
        self._windows = config.windows
        several = len(self._windows) > 1
        self.named_windows = [
            (f"{name}-{window.seconds}s" if several else name, window) for window in self._windows
        ]
        """Its windows, each with the name that is told to clients."""

    def __str__(self) -> str:
        whose = {"both": "identity and address"}.get(self._config.key, self._config.key)
        return f"{self._name} {' and '.join(split_rate(self._config.rate))} per {whose}"

    def applies(self, activity: Activity, queue: str | None) -> bool:
        globs = self._config.queues
        return activity in self.activities and (
            globs is None or (queue is not None and any(fnmatchcase(queue, glob) for glob in globs))
        )

    def claim(self, spending: Spending) -> Claim:
        cost = spending.cost if self._config.cost == "messages" else 1
        return Claim(f"{self._name}:{self._owner(spending)}", self._windows, cost)

    def _owner(self, spending: Spending) -> str:
        identity = spending.identity
        if identity is None or identity.is_anonymous or self._config.key == "address":
            return f"address:{address_key(spending.peer)}"
        if self._config.key == "both":
            # The subject last, for it can be anything; an address has no blank.
            return f"both:{address_key(spending.peer)} {identity.subject}"
        return f"identity:{identity.subject}"
