"""The workbench of the contract of rate limiters: limits to ask for, and who spends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import Self

import msgspec

from broker.auth import Identity
from broker.ratelimit import Activity, Allowance, RateLimiter, Spending
from broker.testing.clock import ManualClock
from broker.testing.opening import ProviderBench

MONTH = 30 * 24 * 3600
"""So long that nothing of it comes back while a test runs, wherever the time comes from."""

ADDRESS = "192.0.2.1"
OTHER_ADDRESS = "192.0.2.2"


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """What the kit wants a rate limiter to allow each client: so much in so many seconds.

    Each identity is a client, whatever its address; of those without one, or with an anonymous one,
    each address is. What is counted are costs, of all activities together.
    """

    name: str = "all"
    """What refusals and quotas should call it."""
    amount: int = 10
    """How much is allowed in each window."""
    seconds: int = MONTH
    """How long a window is."""
    queue: str | None = None
    """The queue that it is for; None: it is for everything, also for what concerns no queue."""


class LimiterBench(ProviderBench[RateLimiter]):
    """A rate limiter with one limit, 10 a month, unless a test asks for another."""

    def __init__(self, make: Callable[[Sequence[Limit]], RateLimiter], clock: ManualClock) -> None:
        self._limits: Sequence[Limit] = (Limit(),)
        super().__init__(lambda: make(self._limits))
        self._opened = AsyncExitStack()
        self._strangers = count(1)
        self.clock = clock
        """Stands still until a test moves it."""

    async def __aenter__(self) -> Self:
        await self._open(self.provider)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    @property
    def limiter(self) -> RateLimiter:
        """The limiter under test; another one after `limit`."""
        return self.provider

    async def open_another(self) -> RateLimiter:
        """Return an open one, which is closed when the test is over."""
        limiter = self.another()
        await self._open(limiter)
        return limiter

    async def limit(self, *limits: Limit) -> None:
        """Go on with a limiter that has these limits."""
        self._limits = limits
        self.provider = await self.open_another()

    def stranger(self) -> Identity:
        """Return somebody who was never here, at an address where nobody was."""
        number = next(self._strangers)
        return by(f"stranger {number}", f"198.18.{number // 256}.{number % 256}")

    async def spend(self, *spendings: Spending) -> Allowance:
        """Ask for what one request is about."""
        return await self.limiter.spend(spendings or (spending(),))

    async def admits(self, *spendings: Spending) -> bool:
        """Tell whether a request may be served."""
        return (await self.spend(*spendings)).allowed

    async def count_admitted(self, *spendings: Spending, attempts: int = 20) -> int:
        """Ask again and again; return how often it was allowed."""
        return sum([await self.admits(*spendings) for _ in range(attempts)])

    async def exhaust(self) -> float:
        """Spend until it is refused; return the seconds after which that is worth trying again."""
        await self.count_admitted()
        refused = await self.spend()
        assert not refused.allowed
        assert refused.retry_after is not None, "it costs less than the limit"
        return refused.retry_after

    async def _open(self, limiter: RateLimiter) -> None:
        self._opened.push_async_callback(limiter.close)
        await limiter.open()


def by(subject: str, peer: str = ADDRESS, *, is_anonymous: bool = False) -> Identity:
    """Return who spends."""
    return Identity(subject=subject, peer=peer, is_anonymous=is_anonymous)


ANN, BOB = by("ann"), by("bob")


def spending(
    who: Identity = ANN, *, activity: Activity = "publish", queue: str | None = "q", cost: int = 1
) -> Spending:
    """Return what an identity is about to do."""
    return Spending(activity=activity, peer=who.peer, identity=who, queue=queue, cost=cost)


def login(peer: str = ADDRESS) -> Spending:
    """Return what somebody is about to do of whom only the address is known."""
    return Spending(activity="login", peer=peer)
