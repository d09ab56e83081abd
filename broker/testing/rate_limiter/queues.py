"""Several limits at a time, some of them for one queue."""

from __future__ import annotations

from broker.testing.contract import needs
from broker.testing.rate_limiter.bench import Limit, LimiterBench, spending

ALL, ORDERS = Limit(), Limit(name="orders", queue="orders", amount=3)


class Queues:
    """The rows about limits that apply together."""

    @needs("queues")
    async def test_a_limit_of_a_queue_is_for_that_queue_alone(self, bench: LimiterBench) -> None:
        await bench.limit(ORDERS)
        for free in ("mail", "ORDERS", "orders-eu", "order", None):
            assert await bench.count_admitted(spending(queue=free)) == 20, free
        assert await bench.count_admitted(spending(queue="orders")) == 3

    @needs("queues")
    async def test_every_limit_that_applies_is_spent(self, bench: LimiterBench) -> None:
        await bench.limit(ALL, ORDERS)
        assert await bench.count_admitted(spending(queue="orders")) == 3
        assert await bench.count_admitted(spending(queue="mail")) == 7

    @needs("queues")
    async def test_what_one_limit_refuses_is_taken_from_no_other(self, bench: LimiterBench) -> None:
        for limits in ((ALL, ORDERS), (ORDERS, ALL)):
            await bench.limit(*limits)
            somebody = bench.stranger()
            assert await bench.count_admitted(spending(somebody, queue="orders")) == 3
            assert await bench.count_admitted(spending(somebody, queue="mail")) == 7, limits

    @needs("queues")
    async def test_a_request_about_several_queues_is_allowed_as_a_whole(
        self, bench: LimiterBench
    ) -> None:
        await bench.limit(Limit(name="mail", queue="mail"), ORDERS)
        mail, orders = spending(queue="mail"), spending(queue="orders")
        assert await bench.count_admitted(mail, orders) == 3
        assert await bench.count_admitted(orders, mail) == 0
        assert await bench.count_admitted(mail) == 7

    @needs("queues", "clock", "costs")
    async def test_a_refusal_waits_for_the_slowest_limit(self, bench: LimiterBench) -> None:
        quick = Limit(name="quick", queue="orders", amount=4, seconds=10)
        await bench.limit(Limit(amount=4, seconds=1000), quick)
        orders = spending(queue="orders", cost=4)
        assert await bench.admits(orders)
        refused = await bench.spend(orders)
        assert refused.retry_after is not None
        bench.clock.advance(refused.retry_after)
        assert await bench.admits(orders)
