"""A hundred messages for each subject and minute."""

from collections import Counter
from collections.abc import Sequence

import broker

PER_MINUTE = 100


class AcmeRateLimiter(broker.RateLimiter):
    """Counts from the start of each minute."""

    def __init__(self, clock: broker.Clock) -> None:
        self._clock = clock
        self._minute = 0
        self._spent: Counter[str] = Counter()

    async def spend(self, spendings: Sequence[broker.Spending]) -> broker.Allowance:
        """Take all of the costs, or none."""
        minute, passed_ms = divmod(self._clock.now(), 60_000)
        if minute != self._minute:
            self._minute, self._spent = minute, Counter()
        identity = spendings[0].identity
        subject = "nobody" if identity is None else identity.subject
        cost = sum(spending.cost for spending in spendings)
        if self._spent[subject] + cost > PER_MINUTE:
            until_next = 60 - passed_ms / 1000
            retry_after = until_next if cost <= PER_MINUTE else None
            return broker.Allowance(allowed=False, retry_after=retry_after, refused_by="acme")
        self._spent[subject] += cost
        return broker.Allowance(allowed=True)


@broker.hookimpl
def provide_rate_limiter(plugin: broker.PluginContext) -> broker.RateLimiter:
    """Return the one limiter."""
    return AcmeRateLimiter(plugin.clock)
