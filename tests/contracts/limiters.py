"""Rate limiters of other kinds than the plugin's, as short as they can be."""

from collections.abc import Sequence

import msgspec

from broker import Allowance, Clock, Quota, RateLimiter, Spending, address_key
from broker.testing import Limit


class FixedWindow(RateLimiter):
    """So much from one full minute to the next, for each limit that applies."""

    def __init__(self, limits: Sequence[Limit], clock: Clock) -> None:
        self.limits = limits
        self.clock = clock
        self.spent: dict[tuple[str, str, int], int] = {}

    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        whose = self.whose(spendings[0])
        costs = {
            limit: sum(self.cost(one) for one in spendings if limit.queue in (None, one.queue))
            for limit in self.limits
        }
        claims = [
            (limit, (limit.name, whose, self.window(limit)), cost)
            for limit, cost in costs.items()
            if cost
        ]
        short = [limit for limit, key, cost in claims if cost > self.left(limit, key)]
        if not short:
            for _, key, cost in claims:
                self.spent[key] = self.spent.get(key, 0) + cost
        quotas = tuple(self.quota(limit, self.left(limit, key)) for limit, key, _ in claims)
        if not short:
            return Allowance(allowed=True, quotas=quotas)
        never = [limit for limit, _, cost in claims if cost > limit.amount]
        wait = None if never else max(map(self.wait, short))
        return Allowance(allowed=False, quotas=quotas, retry_after=wait)

    def whose(self, who: Spending) -> str:
        if who.identity is None or who.identity.is_anonymous:
            return f"address {address_key(who.peer)}"
        return f"identity {who.identity.subject}"

    def cost(self, spending: Spending) -> int:
        return spending.cost

    def window(self, limit: Limit) -> int:
        return self.clock.now() // (limit.seconds * 1000)

    def left(self, limit: Limit, key: tuple[str, str, int]) -> int:
        return limit.amount - self.spent.get(key, 0)

    def wait(self, limit: Limit) -> float:
        return limit.seconds - self.clock.now() % (limit.seconds * 1000) / 1000

    def quota(self, limit: Limit, left: int) -> Quota:
        return Quota(
            name=limit.name,
            limit=limit.amount,
            window_seconds=limit.seconds,
            remaining=left,
            reset_seconds=self.wait(limit) if left < limit.amount else 0,
        )


class AddressesOnly(FixedWindow):
    """Counts requests by address, and tells nothing; what it knows of the time is whole seconds."""

    def whose(self, who: Spending) -> str:
        return address_key(who.peer)

    def cost(self, spending: Spending) -> int:
        return 1

    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        allowance = await super().spend(spendings[:1])
        wait = None if allowance.retry_after is None else allowance.retry_after // 1 + 1
        return msgspec.structs.replace(allowance, quotas=(), retry_after=wait)


class Bucket(RateLimiter):
    """A bucket of tokens that fills up evenly, for each client.

    Tokens are counted in parts, so many that in a millisecond `amount` of them come.
    """

    def __init__(self, limit: Limit, clock: Clock) -> None:
        self.limit = limit
        self.clock = clock
        self.token = limit.seconds * 1000
        self.levels: dict[str, tuple[int, int]] = {}

    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        whose, now = FixedWindow.whose(self, spendings[0]), self.clock.now()
        full = self.limit.amount * self.token
        level, since = self.levels.get(whose, (full, now))
        level = min(full, level + (now - since) * self.limit.amount)
        cost = sum(spending.cost for spending in spendings) * self.token
        if cost > level:
            missing_ms = -((level - cost) // self.limit.amount)
            wait = None if cost > full else missing_ms / 1000
            return Allowance(allowed=False, quotas=(self.quota(level),), retry_after=wait)
        self.levels[whose] = (level - cost, now)
        return Allowance(allowed=True, quotas=(self.quota(level - cost),))

    def quota(self, level: int) -> Quota:
        missing = self.limit.amount * self.token - level
        return Quota(
            name=self.limit.name,
            limit=self.limit.amount,
            window_seconds=self.limit.seconds,
            remaining=level // self.token,
            reset_seconds=-(-missing // self.limit.amount) / 1000,
        )
