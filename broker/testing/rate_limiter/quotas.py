"""What clients are told of what is left."""

from __future__ import annotations

from broker.testing.contract import lacks, needs
from broker.testing.rate_limiter.bench import BOB, MONTH, Limit, LimiterBench, spending


class Quotas:
    """The rows about quotas, and about who refused."""

    @needs("quotas")
    async def test_a_quota_names_the_limit_and_its_seconds(self, bench: LimiterBench) -> None:
        [quota] = (await bench.spend()).quotas
        assert (quota.limit, quota.window_seconds) == (10, MONTH)

    @needs("quotas")
    async def test_a_quota_tells_what_is_left(self, bench: LimiterBench) -> None:
        allowances = [await bench.spend() for _ in range(12)]
        remaining = [quota.remaining for allowance in allowances for quota in allowance.quotas]
        assert remaining == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]
        [quota] = (await bench.spend(spending(BOB))).quotas
        assert quota.remaining in (9, 0), "9, or 0 where both are one address"

    @needs("quotas", "costs")
    async def test_what_costs_too_much_leaves_what_was_left(self, bench: LimiterBench) -> None:
        await bench.spend(spending(cost=7))
        for cost in (4, 11, 2**40):
            [quota] = (await bench.spend(spending(cost=cost))).quotas
            assert quota.remaining == 3

    @needs("quotas")
    async def test_a_refusal_names_one_of_the_quotas(self, bench: LimiterBench) -> None:
        await bench.exhaust()
        refused = await bench.spend()
        assert refused.refused_by in (None, *(quota.name for quota in refused.quotas))

    @needs("quotas", "queues")
    async def test_quotas_have_names_of_their_own(self, bench: LimiterBench) -> None:
        await bench.limit(Limit(), Limit(name="orders", queue="orders", amount=3))
        quotas = (await bench.spend(spending(queue="orders"))).quotas
        assert len({quota.name for quota in quotas}) == 2
        assert sorted((quota.limit, quota.remaining) for quota in quotas) == [(3, 2), (10, 9)]

    @needs("quotas", "clock")
    async def test_all_is_there_again_when_a_quota_says(self, bench: LimiterBench) -> None:
        await bench.limit(Limit(seconds=60))
        bench.clock.advance(7.3)
        assert await bench.count_admitted(attempts=4) == 4
        bench.clock.advance(1.2)
        [quota] = (await bench.spend()).quotas
        bench.clock.advance(quota.reset_seconds)
        assert await bench.count_admitted() == 10

    @lacks("quotas")
    async def test_undeclared_quotas_are_not_told(self, bench: LimiterBench) -> None:
        assert {(await bench.spend()).quotas for _ in range(12)} == {()}
