"""The rate limiter: which limits apply to what, and whose they are to spend."""

from __future__ import annotations

import math
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

    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        """Take the costs from all limits that apply, or from none."""
        messages: dict[_Limit, int] = {}
        for spending in spendings:
            for limit in self._limits_of(spending.activity, spending.queue):
                messages[limit] = messages.get(limit, 0) + spending.cost
        if not messages:
            return FREE
        who = spendings[0]
        claims = [limit.claim(who, count) for limit, count in messages.items()]
        allowed, counts = await self._counters.take(claims)
        if not counts:
            return Allowance(allowed=allowed)
        windows = [named for limit in messages for named in limit.named_windows]
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
        wait, name = max(
            (math.inf if wait is None else wait, name)
            for (name, _), wait in zip(windows, waits, strict=True)
        )
        # At least a millisecond: where others count, it may fit by now.
        retry_after = None if wait == math.inf else max(1, wait) / 1000
        return Allowance(allowed=False, quotas=quotas, retry_after=retry_after, refused_by=name)

    def _limits_of(self, activity: Activity, queue: str | None) -> tuple[_Limit, ...]:
        if activity not in self._limited:
            return ()
        is_name = queue is None or len(queue) <= LONGEST_NAME
        return (self._applying if is_name else self._find)(activity, queue)

    def _find(self, activity: Activity, queue: str | None) -> tuple[_Limit, ...]:
        return tuple(limit for limit in self._limits if limit.applies(activity, queue))


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

    def claim(self, who: Spending, messages: int) -> Claim:
        cost = messages if self._config.cost == "messages" else 1
        return Claim(f"{self._name}:{self._owner(who)}", self._windows, cost)

    def _owner(self, who: Spending) -> str:
        identity = who.identity
        if identity is None or identity.is_anonymous or self._config.key == "address":
            return f"address:{address_key(who.peer)}"
        if self._config.key == "both":
            # The subject last, for it can be anything; an address has no blank.
            return f"both:{address_key(who.peer)} {identity.subject}"
        return f"identity:{identity.subject}"
