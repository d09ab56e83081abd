"""How much is let through."""

from __future__ import annotations

import asyncio

from hypothesis import strategies as st

from broker.auth import Identity
from broker.errors import Unavailable
from broker.ratelimit import ACTIVITIES, Spending
from broker.testing.cancelled import at_every_turn, cancel
from broker.testing.contract import lacks, needs
from broker.testing.drawing import for_all
from broker.testing.rate_limiter.bench import LimiterBench, spending

_names = st.text(max_size=300)
_identities = st.builds(Identity, subject=_names, is_anonymous=st.booleans())
_spendings = st.builds(
    Spending,
    activity=st.sampled_from(ACTIVITIES),
    peer=st.sampled_from(["", "192.0.2.1", "2001:db8::1", "fe80::1%eth0", "@"]) | _names,
    identity=st.none() | _identities,
    queue=st.none() | _names,
    cost=st.integers(1, 2**63 - 1),
)
_requests = st.lists(_spendings, max_size=5)


class Admission:
    """The rows about exactly as much as is allowed."""

    async def test_as_much_is_admitted_as_the_limit_says(self, bench: LimiterBench) -> None:
        assert [await bench.admits() for _ in range(12)] == [True] * 10 + [False] * 2

    async def test_of_many_at_once_exactly_as_many_are_admitted(self, bench: LimiterBench) -> None:
        admitted = await asyncio.gather(*(bench.admits() for _ in range(50)))
        assert sum(admitted) == 10
        assert not await bench.admits()

    async def test_every_activity_spends_of_the_limit(self, bench: LimiterBench) -> None:
        for activity in ACTIVITIES:
            assert await bench.admits(spending(activity=activity)), activity
        assert await bench.count_admitted() == 10 - len(ACTIVITIES)

    async def test_what_concerns_no_queue_spends_of_the_limit(self, bench: LimiterBench) -> None:
        assert await bench.count_admitted(spending(queue=None)) == 10
        assert not await bench.admits()

    @needs("costs")
    async def test_costs_of_many_at_once_never_exceed_the_limit(self, bench: LimiterBench) -> None:
        costs = [3, 4, 2, 5, 1, 3, 2, 4] * 4
        admitted = await asyncio.gather(*(bench.admits(spending(cost=cost)) for cost in costs))
        spent = sum(cost for cost, was in zip(costs, admitted, strict=True) if was)
        assert spent + await bench.count_admitted() == 10

    @needs("costs")
    async def test_a_cost_is_taken_whole_or_not_at_all(self, bench: LimiterBench) -> None:
        assert await bench.admits(spending(cost=8))
        assert not await bench.admits(spending(cost=3))
        assert await bench.admits(spending(cost=2))
        assert not await bench.admits()

    @needs("costs")
    async def test_all_of_the_limit_can_be_spent_at_once(self, bench: LimiterBench) -> None:
        assert await bench.admits(spending(cost=10))
        assert not await bench.admits()

    @needs("costs")
    async def test_more_than_the_limit_is_never_worth_trying_again(
        self, bench: LimiterBench
    ) -> None:
        refused = await bench.spend(spending(cost=11))
        assert (refused.allowed, refused.retry_after) == (False, None)
        assert await bench.admits(spending(cost=10))

    @needs("costs")
    async def test_spendings_of_a_request_are_taken_together(self, bench: LimiterBench) -> None:
        published = spending(queue="a", cost=6)
        assert not await bench.admits(published, spending(activity="settle", queue="b", cost=5))
        assert await bench.admits(published, spending(activity="settle", queue="b", cost=4))
        assert not await bench.admits()

    @lacks("costs")
    async def test_undeclared_costs_count_as_one(self, bench: LimiterBench) -> None:
        assert await bench.count_admitted(spending(cost=11)) == 10

    @at_every_turn
    async def test_what_is_cancelled_counts_once_or_not_at_all(
        self, bench: LimiterBench, turns: int
    ) -> None:
        await cancel(bench.spend(), turns)
        assert await bench.count_admitted() in (9, 10)

    @at_every_turn
    async def test_others_are_not_cancelled_along(self, bench: LimiterBench, turns: int) -> None:
        others = [asyncio.create_task(bench.admits()) for _ in range(5)]
        await cancel(bench.spend(), turns)
        assert await asyncio.gather(*others, return_exceptions=True) == [True] * 5

    async def test_whatever_is_spent_is_allowed_or_not_or_unavailable(
        self, bench: LimiterBench
    ) -> None:
        async def check(request: list[Spending]) -> None:
            try:
                allowance = await bench.spend(*request)
            except Unavailable:
                return
            for quota in allowance.quotas:
                assert 0 <= quota.remaining <= quota.limit
            wait = allowance.retry_after
            assert wait is None or (wait > 0 and not allowance.allowed)

        await for_all(_requests.filter(bool), check)
