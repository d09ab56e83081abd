"""Whose a limit is to spend."""

from __future__ import annotations

import pytest

from broker.ratelimit import Spending
from broker.testing.contract import lacks, needs
from broker.testing.rate_limiter.bench import (
    ADDRESS,
    ANN,
    BOB,
    OTHER_ADDRESS,
    LimiterBench,
    by,
    login,
    spending,
)


class Clients:
    """The rows about clients that take nothing from each other."""

    @needs("identities")
    async def test_each_identity_has_the_limit_for_itself(self, bench: LimiterBench) -> None:
        assert await bench.count_admitted(spending(ANN)) == 10
        assert await bench.count_admitted(spending(BOB)) == 10

    @needs("identities")
    async def test_an_identity_has_it_once_at_all_addresses(self, bench: LimiterBench) -> None:
        assert await bench.count_admitted(spending(ANN)) == 10
        assert not await bench.admits(spending(by(ANN.subject, OTHER_ADDRESS)))

    @lacks("identities")
    async def test_undeclared_identities_are_an_address(self, bench: LimiterBench) -> None:
        assert await bench.count_admitted(spending(ANN)) == 10
        assert not await bench.admits(spending(BOB))
        assert await bench.admits(spending(by(ANN.subject, OTHER_ADDRESS)))

    async def test_who_logs_in_is_an_address(self, bench: LimiterBench) -> None:
        assert await bench.count_admitted(login(ADDRESS)) == 10
        assert await bench.count_admitted(login(OTHER_ADDRESS)) == 10

    async def test_the_anonymous_are_their_addresses(self, bench: LimiterBench) -> None:
        here, there = (
            spending(by("anonymous", peer, is_anonymous=True)) for peer in (ADDRESS, OTHER_ADDRESS)
        )
        assert await bench.count_admitted(here) == 10
        assert await bench.count_admitted(there) == 10

    @needs("identities")
    @pytest.mark.parametrize(
        "clients",
        [
            (login(), spending(ANN)),
            # A subject is any text, also one that looks like an address, or like no name at all.
            (login(), spending(by(ADDRESS))),
            (spending(by("", is_anonymous=True)), spending(by(""))),
            (spending(by("anonymous", is_anonymous=True)), spending(by("anonymous"))),
            (spending(by("ann")), spending(by("ann\n"))),
            (spending(by("ann")), spending(by("ANN"))),
            (spending(by("ann", "192.0.2.1")), spending(by("1ann", "192.0.2."))),
            (spending(by("b:c", "a")), spending(by("c", "a:b"))),
            (spending(by("address:192.0.2.1")), login()),
            (spending(by("identity:ann")), spending(by("ann"))),
        ],
    )
    async def test_nobody_passes_for_another(
        self, bench: LimiterBench, clients: tuple[Spending, Spending]
    ) -> None:
        one, other = clients
        assert await bench.count_admitted(one) == 10
        assert await bench.count_admitted(other) == 10

    @needs("shared")
    async def test_limiters_that_share_count_together(self, bench: LimiterBench) -> None:
        other = await bench.open_another()
        assert await bench.count_admitted(attempts=6) == 6
        admitted = [(await other.spend([spending()])).allowed for _ in range(6)]
        assert admitted == [True] * 4 + [False] * 2

    @lacks("shared")
    async def test_limiters_that_do_not_share_count_each_for_itself(
        self, bench: LimiterBench
    ) -> None:
        other = await bench.open_another()
        assert await bench.count_admitted() == 10
        assert (await other.spend([spending()])).allowed
