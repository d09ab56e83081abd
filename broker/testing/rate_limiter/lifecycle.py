"""Opening and closing."""

from __future__ import annotations

from broker.errors import Unavailable
from broker.ratelimit import RateLimiter
from broker.testing.opening import Opening
from broker.testing.rate_limiter.bench import LimiterBench, spending


class Lifecycle(Opening):
    """The rows about limiters that are not open yet, or not any more."""

    async def test_before_open_it_answers_or_is_unavailable(self, bench: LimiterBench) -> None:
        await _spend_or_not(bench.another())

    async def test_after_close_it_answers_or_is_unavailable(self, bench: LimiterBench) -> None:
        await bench.spend()
        await bench.limiter.close()
        await _spend_or_not(bench.limiter)

    async def _check_works(self, bench: LimiterBench) -> None:
        assert await bench.admits()


async def _spend_or_not(limiter: RateLimiter) -> None:
    """Spend more than there is; every answer is one that the broker knows what to do with."""
    for _ in range(12):
        try:
            allowance = await limiter.spend([spending()])
        except Unavailable:
            continue
        assert allowance.allowed or allowance.retry_after is not None
