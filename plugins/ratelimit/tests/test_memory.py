import asyncio
import gc

import pytest
from broker_ratelimit.counters import Claim, Count, Window
from broker_ratelimit.memory import PAUSE_MS, PIECE, MemoryCounters
from hypothesis import given
from hypothesis import strategies as st

from broker import Clock
from broker.testing import ManualClock

TEN_A_MINUTE = Window(10, 60)


def at_the_minute() -> ManualClock:
    """A clock that stands where a minute begins."""
    return ManualClock(1_700_000_040_000)


def claim(cost=1, *, key="k", windows=(TEN_A_MINUTE,)):
    return Claim(key, windows, cost)


def held(counters) -> int:
    """How many numbers are in memory."""
    gc.collect()
    ledgers = counters._ledgers.values()
    living = [counts for ledger in ledgers for counts in (ledger._previous, ledger._current)]
    return sum(map(len, [*living, *counters._over]))


async def test_nothing_is_spent_at_first_and_what_was_taken_afterwards():
    counters = MemoryCounters(at_the_minute())

    assert await counters.take([claim(3)]) == (True, [Count(0, 3, 0)])
    assert await counters.take([claim(7)]) == (True, [Count(0, 10, 0)])
    assert await counters.take([claim(1)]) == (False, [Count(0, 10, 0)])


async def test_each_key_has_its_own():
    counters = MemoryCounters(at_the_minute())

    await counters.take([claim(10, key="a")])

    assert await counters.take([claim(10, key="b")]) == (True, [Count(0, 10, 0)])


async def test_the_window_before_fades_away_and_the_one_before_that_does_not_count():
    clock = at_the_minute()
    counters = MemoryCounters(clock)
    await counters.take([claim(10)])

    clock.advance(75)
    assert await counters.take([claim(3)]) == (True, [Count(10, 3, 15_000)])
    assert await counters.take([claim(1)]) == (False, [Count(10, 3, 15_000)])
    clock.advance(45)
    assert await counters.take([claim(1)]) == (True, [Count(3, 1, 0)])
    clock.advance(120)
    assert await counters.take([claim(10)]) == (True, [Count(0, 10, 0)])


async def test_all_claims_are_taken_or_none_of_any_window():
    counters = MemoryCounters(at_the_minute())
    both = (Window(3, 60), Window(5, 3600))
    await counters.take([claim(3, key="a", windows=both)])
    before = await counters.take([claim(9), claim(1, key="a", windows=both)])

    assert before[0] is False
    assert await counters.take([claim(9), claim(1, key="a", windows=both)]) == before
    assert await counters.take([claim(10)]) == (True, [Count(0, 10, 0)])


async def test_windows_of_one_length_count_together_however_much_they_allow():
    """A limit keeps its count when its amount is changed in another broker's config."""
    counters = MemoryCounters(at_the_minute())
    await counters.take([claim(10)])

    assert (await counters.take([claim(windows=(Window(5, 60),))]))[0] is False
    assert (await counters.take([claim(windows=(Window(11, 60),))]))[0] is True


@given(
    st.lists(st.tuples(st.integers(0, 2500), st.integers(1, 4), st.sampled_from("ab")), max_size=60)
)
def test_it_counts_like_a_list_of_everything_that_was_taken(program):
    window, clock, taken = Window(6, 1), at_the_minute(), []
    counters = MemoryCounters(clock)

    def remembered(key, number):
        return sum(cost for at, who, cost in taken if who == key and at // 1000 == number)

    async def run():
        for wait_ms, cost, key in program:
            clock.advance(wait_ms / 1000)
            now = clock.now()
            number, elapsed_ms = divmod(now, 1000)
            previous, current = remembered(key, number - 1), remembered(key, number)
            fits = previous * (1000 - elapsed_ms) // 1000 + current + cost <= 6
            if fits:
                taken.append((now, key, cost))

            expected = Count(previous, current + cost * fits, elapsed_ms)
            answer = await counters.take([claim(cost, key=key, windows=(window,))])
            assert answer == (fits, [expected])

    asyncio.run(run())


async def fill(counters, keys):
    for number in range(keys):
        await counters.take([claim(key=str(number))])


async def test_what_counts_no_more_is_forgotten_though_nobody_asks():
    clock = at_the_minute()
    counters = MemoryCounters(clock)
    await counters.open()
    await fill(counters, 3 * PIECE)

    clock.advance(119)
    assert held(counters) == 3 * PIECE
    clock.advance(2)
    assert held(counters) == 0
    await counters.close()


async def test_others_run_between_pieces_of_forgetting():
    clock = at_the_minute()
    counters = MemoryCounters(clock)
    await counters.open()
    await fill(counters, 2 * PIECE + 1)

    clock.advance(120)
    left = [held(counters)]
    for _ in range(2):
        clock.advance(PAUSE_MS / 1000)
        left.append(held(counters))

    assert left == [PIECE + 1, 1, 0]
    await counters.close()


async def test_what_counts_no_more_is_forgotten_while_others_ask():
    clock = at_the_minute()
    counters = MemoryCounters(clock)
    await counters.open()
    await fill(counters, 5)

    for _ in range(130):
        clock.advance(1)
        await counters.take([claim(key="other")])

    assert held(counters) == 2  # the other's two windows
    await counters.close()


async def test_what_still_counts_is_kept():
    clock = at_the_minute()
    counters = MemoryCounters(clock)
    await counters.open()
    hour = Window(100, 3600)
    await counters.take([claim(4, windows=(TEN_A_MINUTE, hour))])

    clock.advance(3600)

    _, [count] = await counters.take([claim(1, windows=(hour,))])
    assert (count.previous, count.current) == (4, 1)
    await counters.close()


async def test_nothing_runs_and_nothing_is_held_after_it_is_closed():
    clock = ManualClock()
    counters = MemoryCounters(clock)
    await counters.open()
    await fill(counters, 5)

    await counters.close()

    assert held(counters) == 0
    await fill(counters, 5)
    clock.advance(180)
    assert held(counters) == 5


async def test_it_leaves_no_call_on_the_loop():
    counters = MemoryCounters(Clock())
    await counters.open()
    await counters.close()

    assert counters._timer.cancelled()


@pytest.mark.parametrize("keys", [10, 10_000])
async def test_a_check_looks_at_no_other_key(keys):
    looked_up = []

    class Watched(str):
        __slots__ = ()

        def __hash__(self):
            looked_up.append(self)
            return super().__hash__()

    counters = MemoryCounters(at_the_minute())
    for number in range(keys):
        await counters.take([claim(key=Watched(number))])
    looked_up.clear()

    await counters.take([claim(key=Watched("one more"))])

    assert {str(key) for key in looked_up} == {"one more"}
