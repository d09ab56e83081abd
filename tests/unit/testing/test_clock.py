"""The clock that stands still."""

import asyncio

import pytest

from broker import Clock
from broker.testing import ManualClock

START = 1_700_000_000_000


def test_it_is_a_clock_and_starts_at_a_fixed_instant() -> None:
    clock = ManualClock()
    assert isinstance(clock, Clock)
    assert clock.now() == START


def test_it_starts_where_it_is_told() -> None:
    assert ManualClock(5).now() == 5


def test_it_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock()
    assert [clock.now(), clock.now()] == [START, START]
    clock.advance(1.5)
    assert clock.now() == START + 1500


def test_a_thousandth_of_a_second_is_one_millisecond() -> None:
    clock = ManualClock()
    for _ in range(1000):
        clock.advance(0.001)
    assert clock.now() == START + 1000


def test_time_does_not_go_back() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="^time cannot go back by 1 s$"):
        clock.advance(-1)
    assert clock.now() == START


def test_a_call_is_made_at_its_time_and_not_before() -> None:
    clock, calls = ManualClock(), []
    clock.call_at(START + 1000, lambda: calls.append("made"))
    clock.advance(0.999)
    assert calls == []
    clock.advance(0.001)
    assert calls == ["made"]
    clock.advance(10)
    assert calls == ["made"]


def test_calls_are_made_in_the_order_of_their_times() -> None:
    clock, calls = ManualClock(), []
    for when in (3, 1, 2, 1):
        clock.call_at(START + when, lambda when=when: calls.append(when))
    clock.advance(1)
    assert calls == [1, 1, 2, 3]


def test_calls_of_one_time_are_made_in_the_order_of_asking() -> None:
    clock, calls = ManualClock(), []
    for number in range(5):
        clock.call_at(START + 1, lambda number=number: calls.append(number))
    clock.advance(1)
    assert calls == [0, 1, 2, 3, 4]


def test_during_a_call_it_is_the_time_that_was_asked_for() -> None:
    clock, times = ManualClock(), []
    for when in (START + 1000, START + 2000):
        clock.call_at(when, lambda: times.append(clock.now()))
    clock.advance(60)
    assert times == [START + 1000, START + 2000]
    assert clock.now() == START + 60_000


def test_a_call_may_ask_for_another_that_is_made_on_the_same_way() -> None:
    clock, times = ManualClock(), []

    def tick() -> None:
        times.append(clock.now() - START)
        clock.call_at(clock.now() + 1000, tick)

    clock.call_at(START + 1000, tick)
    clock.advance(3.5)
    assert times == [1000, 2000, 3000]


def test_a_cancelled_call_is_not_made() -> None:
    clock, calls = ManualClock(), []
    timer = clock.call_at(START + 1, lambda: calls.append("made"))
    timer.cancel()
    timer.cancel()
    clock.advance(1)
    assert calls == []


def test_cancelling_after_the_call_is_harmless() -> None:
    clock, calls = ManualClock(), []
    timer = clock.call_at(START + 1, lambda: calls.append("made"))
    clock.advance(1)
    timer.cancel()
    assert calls == ["made"]


async def test_what_is_due_already_is_called_on_the_next_turn_of_the_loop() -> None:
    clock, calls = ManualClock(), []
    clock.call_at(START, lambda: calls.append("now"))
    clock.call_at(START - 1, lambda: calls.append("past"))
    assert calls == []
    await asyncio.sleep(0)
    assert calls == ["now", "past"]


async def test_what_is_due_already_can_be_cancelled() -> None:
    clock, calls = ManualClock(), []
    clock.call_at(START, lambda: calls.append("now")).cancel()
    await asyncio.sleep(0)
    assert calls == []


async def test_a_sleeper_wakes_when_its_time_comes() -> None:
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep_until(START + 43_200_000))
    await asyncio.sleep(0)
    clock.advance(43_199)
    await asyncio.sleep(0)
    assert not sleeper.done()
    clock.advance(1)
    await sleeper
