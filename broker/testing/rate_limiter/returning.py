"""When what was spent comes back."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import strategies as st

from broker.ratelimit import Spending
from broker.testing.contract import lacks, needs
from broker.testing.drawing import for_all
from broker.testing.rate_limiter.bench import MONTH, Limit, LimiterBench, spending

MILLISECOND = 0.001
MINUTE = Limit(seconds=60)

_pauses = st.sampled_from([0, 0, 0, MILLISECOND, 1, 7.3, 30, 59.999, 60, 60.001, 200])
_programs = st.lists(st.tuples(_pauses, st.integers(1, 12)), min_size=1, max_size=30)
"""What to wait, and what to spend then."""


class Returning:
    """The rows about refusals that end."""

    capabilities: ClassVar[frozenset[str]]

    async def test_a_refusal_says_when_to_try_again(self, bench: LimiterBench) -> None:
        # Windows that slide may hold what was spent in the one before, too.
        assert 0 < await bench.exhaust() <= 2 * MONTH + 1

    @needs("clock")
    async def test_the_same_is_admitted_when_a_refusal_says(self, bench: LimiterBench) -> None:
        await bench.limit(MINUTE)
        bench.clock.advance(await bench.exhaust())
        assert await bench.admits()

    @needs("clock", "exact")
    async def test_a_millisecond_before_it_is_refused(self, bench: LimiterBench) -> None:
        await bench.limit(MINUTE)
        bench.clock.advance(await bench.exhaust() - MILLISECOND)
        assert not await bench.admits()

    @needs("clock")
    async def test_what_is_refused_puts_nothing_off(self, bench: LimiterBench) -> None:
        await bench.limit(MINUTE)
        seconds = await bench.exhaust()
        first_half = round(seconds / 2, 3)
        bench.clock.advance(first_half)
        assert await bench.count_admitted() == 0
        bench.clock.advance(seconds - first_half)
        assert await bench.admits()

    @needs("clock")
    async def test_after_a_long_time_there_is_no_more_than_the_limit(
        self, bench: LimiterBench
    ) -> None:
        await bench.limit(MINUTE)
        for _ in range(2):
            bench.clock.advance(100_000)
            assert await bench.count_admitted() == 10

    @lacks("clock")
    async def test_an_undeclared_clock_brings_nothing_back(self, bench: LimiterBench) -> None:
        await bench.exhaust()
        bench.clock.advance(10 * MONTH)
        assert not await bench.admits()

    @needs("clock")
    async def test_whoever_spends_whenever_gets_what_the_limit_says(
        self, bench: LimiterBench
    ) -> None:
        await bench.limit(MINUTE)

        async def check(program: list[tuple[float, int]]) -> None:
            spender = _Spender(bench, self.capabilities)
            for pause, cost in program:
                bench.clock.advance(pause)
                await spender.spend(cost)

        await for_all(_programs, check)


class _Spender:
    """A client of its own, who believes what it is told, and adds up what it gets."""

    def __init__(self, bench: LimiterBench, capabilities: frozenset[str]) -> None:
        self._bench = bench
        self._who = bench.stranger()
        self._capabilities = capabilities
        self._got: list[tuple[int, int]] = []

    async def spend(self, cost: int) -> None:
        """Spend, later if it is told to, unless it is told that this is never possible."""
        asked = spending(self._who, cost=cost)
        counted = cost if "costs" in self._capabilities else 1
        allowance = await self._bench.spend(asked)
        if counted > MINUTE.amount:
            assert (allowance.allowed, allowance.retry_after) == (False, None)
            return
        if not allowance.allowed:
            assert allowance.retry_after is not None
            await self._wait(asked, allowance.retry_after)
            assert await self._bench.admits(asked)
        self._add(counted)

    async def _wait(self, asked: Spending, seconds: float) -> None:
        clock = self._bench.clock
        clock.advance(max(0, round(seconds - MILLISECOND, 3)))
        if "exact" in self._capabilities:
            assert not await self._bench.admits(asked)
        clock.advance(MILLISECOND)

    def _add(self, cost: int) -> None:
        now = self._bench.clock.now()
        self._got.append((now, cost))
        # The end of one fixed window and the beginning of the next can be as near as that.
        recent = sum(cost for when, cost in self._got if when > now - MINUTE.seconds * 1000)
        assert recent <= 2 * MINUTE.amount
