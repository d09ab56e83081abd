"""Failed logins: five for an account, twenty for an address, in any fifteen minutes."""

import asyncio
from typing import Any

import pytest

from broker import RateLimited
from broker.testing import ManualClock
from broker_auth_jwt.attempts import Attempt

HOME = "192.0.2.1"
MINUTE = 60


async def fail(
    accounts: Any, clock: ManualClock, account: str = "ann", address: str = HOME
) -> Attempt:
    return await accounts.attempts.begin(account, address, now=clock.now())


async def limit(
    accounts: Any, clock: ManualClock, account: str = "ann", address: str = HOME
) -> float:
    """Return for how long an attempt is refused, 0 if it is not."""
    try:
        await fail(accounts, clock, account, address)
    except RateLimited as refused:
        return refused.retry_after
    return 0


async def test_the_sixth_failure_of_an_account_is_refused_wherever_it_comes_from(
    open_accounts,
) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        for number in range(5):
            await fail(accounts, clock, address=f"192.0.2.{number}")
        assert await limit(accounts, clock, address="198.51.100.1") == 15 * MINUTE
        assert await limit(accounts, clock, account="bob") == 0


async def test_the_21st_failure_of_an_address_is_refused_whatever_the_account(
    open_accounts,
) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        for number in range(20):
            await fail(accounts, clock, account=f"user{number}")
        assert await limit(accounts, clock, account="ann") == 15 * MINUTE
        assert await limit(accounts, clock, account="ann", address="192.0.2.2") == 0


async def test_the_window_slides(open_accounts) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        for _ in range(5):  # at 0, 1, 2, 3, 4 minutes
            await fail(accounts, clock)
            clock.advance(MINUTE)
        assert await limit(accounts, clock) == 10 * MINUTE  # the first one counts for 10 more
        clock.advance(10 * MINUTE - 0.001)
        assert await limit(accounts, clock) == 0.001
        clock.advance(0.001)
        assert await limit(accounts, clock) == 0
        assert await limit(accounts, clock) == 1 * MINUTE
        clock.advance(MINUTE)
        assert await limit(accounts, clock) == 0


async def test_whoever_is_refused_is_not_counted(open_accounts) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        for _ in range(5):
            await fail(accounts, clock)
        for _ in range(30):
            clock.advance(20)
            assert await limit(accounts, clock) > 0
        clock.advance(5 * MINUTE)
        assert await limit(accounts, clock) == 0
        assert await limit(accounts, clock, account="bob") == 0  # the address was not spent either


async def test_the_longer_wait_is_told(open_accounts) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        for number in range(15):
            await fail(accounts, clock, account=f"user{number}")
        clock.advance(MINUTE)
        for _ in range(5):
            await fail(accounts, clock)
        assert await limit(accounts, clock) == 15 * MINUTE
        assert await limit(accounts, clock, account="bob") == 14 * MINUTE


async def test_failures_count_for_all_brokers_and_over_restarts(open_accounts) -> None:
    clock = ManualClock()
    async with open_accounts() as first, open_accounts() as second:
        for accounts in (first, second, first, second):
            await fail(accounts, clock)
    async with open_accounts() as accounts:
        await fail(accounts, clock)
    async with open_accounts() as accounts:
        assert await limit(accounts, clock) == 15 * MINUTE


async def test_of_fifty_at_once_five_go_through(open_accounts) -> None:
    clock = ManualClock()
    async with open_accounts() as first, open_accounts() as second:
        tries = [limit([first, second][n % 2], clock, address=f"192.0.2.{n}") for n in range(50)]
        waits = await asyncio.gather(*tries)
        assert sorted(waits) == [0] * 5 + [15 * MINUTE] * 45


async def test_a_success_is_no_failure_and_forgives_the_account(open_accounts) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        for _ in range(4):
            await fail(accounts, clock)
        await accounts.attempts.succeeded(await fail(accounts, clock))
        for _ in range(5):
            assert await limit(accounts, clock) == 0
        assert await limit(accounts, clock) == 15 * MINUTE


async def test_successes_never_add_up(open_accounts) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        for _ in range(50):
            await accounts.attempts.succeeded(await fail(accounts, clock))


async def test_a_success_does_not_forgive_the_address(open_accounts) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        for _ in range(4):
            await fail(accounts, clock)  # by the owner of another account, who then
        for number in range(15):
            await fail(accounts, clock, account=f"user{number}")
        # logs in to his own; and so does the owner of the first, from elsewhere
        await accounts.attempts.succeeded(await fail(accounts, clock, account="mallory"))
        await accounts.attempts.succeeded(await fail(accounts, clock, address="198.51.100.1"))
        assert await limit(accounts, clock, account="bob") == 0
        assert await limit(accounts, clock, account="eve") == 15 * MINUTE


@pytest.mark.parametrize(
    ("address", "same", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:3::1"),  # a /64
        ("192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),  # mapped: the IPv4 address itself
        ("::ffff:c000:201", "192.0.2.1", "192.0.2.2"),  # the same in another form
        ("fe80::1%eth0", "fe80::2%eth1", "fe80:0:0:1::1"),  # a zone is none of the address
        ("<local>", "<local>", ""),  # a socket in the file system
    ],
)
async def test_what_counts_as_one_address(
    open_accounts, address: str, same: str, other: str
) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        for number in range(20):
            await fail(accounts, clock, account=f"user{number}", address=address)
        assert await limit(accounts, clock, address=same) == 15 * MINUTE
        assert await limit(accounts, clock, address=other) == 0


@pytest.mark.parametrize("account", ["", "a\0b", "\ud800", "x" * 1_000_000, "nobody"])
async def test_whatever_was_typed_as_a_name_is_limited_and_not_kept(
    open_accounts, backdoor, account: str
) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        for _ in range(5):
            await fail(accounts, clock, account)
        assert await limit(accounts, clock, account) == 15 * MINUTE
        kept = {row[0] for row in await backdoor.fetch("SELECT account FROM broker_attempts")}
        assert [len(key) for key in kept] == [64]


async def test_cleaning_forgets_the_attempts_that_count_no_more(open_accounts, backdoor) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        await fail(accounts, clock)
        clock.advance(MINUTE)
        await fail(accounts, clock)
        clock.advance(14 * MINUTE)
        await accounts.clean(clock.now())
        assert len(await backdoor.fetch("SELECT * FROM broker_attempts")) == 1
        clock.advance(MINUTE)
        await accounts.clean(clock.now())
        assert await backdoor.fetch("SELECT * FROM broker_attempts") == []


async def test_a_login_is_no_change(open_accounts) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        before = await accounts.changes.current()
        await accounts.attempts.succeeded(await fail(accounts, clock))
        assert await accounts.changes.current() == before


async def test_a_refusal_is_looked_up_again_after_a_minute(open_accounts) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts, open_accounts() as other:
        [attempt, *_] = [await fail(accounts, clock) for _ in range(5)]
        assert await limit(accounts, clock) == 15 * MINUTE
        await other.attempts.succeeded(attempt)  # another broker knows better
        assert await limit(accounts, clock) == 15 * MINUTE
        clock.advance(MINUTE)
        assert await limit(accounts, clock) == 0


async def test_an_attempt_that_nobody_judged_can_be_withdrawn(open_accounts) -> None:
    clock = ManualClock()
    async with open_accounts() as accounts:
        attempts = [await fail(accounts, clock) for _ in range(5)]
        assert await limit(accounts, clock) == 15 * MINUTE
        await accounts.attempts.withdraw(attempts[0])
        assert await limit(accounts, clock) == 0
