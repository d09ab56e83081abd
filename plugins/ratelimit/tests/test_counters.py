"""What is true of counting wherever it is done."""

import asyncio

from broker_ratelimit.counters import Claim, Count, Window

LONG = 30_000_000
"""Seconds: no test sees the end of such a window."""


def claim(key: str, *amounts: int, cost: int = 1) -> Claim:
    """Ask for a cost of windows that are all long, but not equally."""
    windows = tuple(Window(amount, LONG + place) for place, amount in enumerate(amounts))
    return Claim(key, windows, cost)


def spent(counts: list[Count]) -> list[int]:
    assert all(count.previous == 0 for count in counts)
    return [count.current for count in counts]


async def test_a_take_counts_in_every_window_of_every_claim(open_counters):
    async with open_counters() as counters:
        taken, counts = await counters.take([claim("a", 10, 20, cost=2), claim("b", 5)])

    assert taken
    assert spent(counts) == [2, 2, 1]


async def test_a_take_takes_nothing_if_one_window_of_one_claim_has_not_as_much(open_counters):
    async with open_counters() as counters:
        await counters.take([claim("b", 9, 1)])
        taken, counts = await counters.take([claim("a", 10), claim("b", 9, 1)])
        assert not taken
        assert spent(counts) == [0, 1, 1]

        assert spent((await counters.take([claim("a", 10)]))[1]) == [1]


async def test_the_last_of_an_amount_can_be_taken_and_no_more(open_counters):
    async with open_counters() as counters:
        assert [(await counters.take([claim("a", 3)]))[0] for _ in range(5)] == [
            *[True] * 3,
            *[False] * 2,
        ]


async def test_a_cost_beyond_the_amount_is_never_taken(open_counters):
    async with open_counters() as counters:
        taken, counts = await counters.take([claim("a", 3, cost=4)])

    assert not taken
    assert spent(counts) == [0]


async def test_a_smaller_cost_still_fits_where_a_greater_one_did_not(open_counters):
    async with open_counters() as counters:
        await counters.take([claim("a", 5, cost=3)])

        assert not (await counters.take([claim("a", 5, cost=3)]))[0]
        assert (await counters.take([claim("a", 5, cost=2)]))[0]


async def test_keys_do_not_spend_from_each_other(open_counters):
    names = ["a", "b", "{a}", "a b:ü\n", "x" * 500]
    async with open_counters() as counters:
        for name in names:
            assert (await counters.take([claim(name, 1)]))[0]
        for name in names:
            assert not (await counters.take([claim(name, 1)]))[0]


async def test_of_many_at_once_exactly_the_amount_passes(open_counters):
    async with open_counters() as counters:
        takes = [counters.take([claim("a", 50), claim("b", 70)]) for _ in range(200)]
        answers = await asyncio.gather(*takes)

        assert sum(taken for taken, _ in answers) == 50
        assert max(spent(counts) for _, counts in answers) == [50, 50]


async def test_counts_say_how_far_the_window_is(open_counters):
    async with open_counters() as counters:
        _, [count] = await counters.take([claim("a", 1)])

    assert 0 <= count.elapsed_ms < LONG * 1000
