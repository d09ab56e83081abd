"""The contract of rate limiters: each client gets what the limit says, and no more."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from broker.ratelimit import RateLimiter
from broker.testing.clock import ManualClock
from broker.testing.contract import Contract, made
from broker.testing.rate_limiter.admission import Admission
from broker.testing.rate_limiter.bench import Limit, LimiterBench
from broker.testing.rate_limiter.clients import Clients
from broker.testing.rate_limiter.lifecycle import Lifecycle
from broker.testing.rate_limiter.queues import Queues
from broker.testing.rate_limiter.quotas import Quotas
from broker.testing.rate_limiter.returning import Returning

__all__ = ["Limit", "LimiterBench", "RateLimiterContract"]


class RateLimiterContract(Admission, Clients, Queues, Quotas, Returning, Lifecycle, Contract):
    """Subclass it in a test module, and return your rate limiter with the limits that it is asked
    for.

        class TestAcmeLimiter(RateLimiterContract):
            def make_rate_limiter(self, tmp_path, clock, limits):
                [limit] = limits
                return AcmeLimiter(limit.amount, per_seconds=limit.seconds, clock=clock)

    How it counts is its own affair: fixed or sliding windows, a bucket of tokens. What it promises
    beyond the mandatory stands in `capabilities`; take out what yours does not promise, and its
    tests are skipped, and say so:

    - `identities`: each identity is a client, at whatever address; without it, each address is
    - `costs`: what is counted is `Spending.cost`; without it, each request counts as one
    - `clock`: the time is that of the clock it was given; without it, that of a server for example
    - `exact`: `retry_after` is right to the millisecond; without it, it may be later
    - `quotas`: an allowance tells what is left of the limits

    and put in what it can do more:

    - `queues`: there can be several limits at a time, some of them for one queue
    - `shared`: limiters that are made for the same `tmp_path` count together
    """

    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"identities", "costs", "clock", "exact", "quotas"}
    )
    """What it promises; tests of what is not here are skipped."""

    @abstractmethod
    def make_rate_limiter(
        self, tmp_path: Path, clock: ManualClock, limits: Sequence[Limit]
    ) -> RateLimiter:
        """Return a new rate limiter with these limits, not opened. The kit opens and closes it.

        There is one limit, for everything, unless `queues` is declared.
        """

    def make_bench(self, tmp_path: Path) -> LimiterBench:
        """Return a workbench with a limiter of its own and a clock that stands still."""
        clock = ManualClock()
        make = partial(made, RateLimiter, self.make_rate_limiter, tmp_path, clock)
        return LimiterBench(make, clock)

    def subject(self, bench: LimiterBench) -> tuple[str, frozenset[str]]:
        """Return the limiter's class name and what is declared of it."""
        return type(bench.limiter).__name__, self.capabilities
