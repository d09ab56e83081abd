import asyncio

import pytest

from broker.testing import ManualClock
from broker.operations.waiting import Seat, Waiting


async def settle_loop():
    for _ in range(10):
        await asyncio.sleep(0)


async def sit(waiting, queue, until, log, name):
    with waiting.seat(queue) as seat:
        seat.look()
        await seat.wait(until)
        log.append((name, seat.called))
        seat.served = seat.called
        seat.look()


async def test_seats_are_woken_in_the_order_of_their_coming():
    clock = ManualClock()
    waiting, log = Waiting(clock), []
    tasks = [
        asyncio.ensure_future(sit(waiting, "q", clock.now() + 1000, log, name)) for name in "abc"
    ]
    await settle_loop()

    waiting.wake("q", 2)
    await settle_loop()

    assert log == [("a", True), ("b", True)]
    waiting.wake_all()
    await asyncio.gather(*tasks)


async def test_a_wake_up_between_look_and_wait_is_kept():
    clock = ManualClock()
    waiting = Waiting(clock)
    with waiting.seat("q") as seat:
        seat.look()
        waiting.wake("q")

        await seat.wait(clock.now() + 1000)

        assert seat.called


async def test_a_seat_that_leaves_without_using_its_wake_up_passes_it_on():
    clock = ManualClock()
    waiting, log = Waiting(clock), []
    with waiting.seat("q"):
        other = asyncio.ensure_future(sit(waiting, "q", clock.now() + 1000, log, "other"))
        await settle_loop()
        waiting.wake("q")
    await other

    assert log == [("other", True)]


async def test_time_ends_a_wait():
    clock = ManualClock()
    waiting, log = Waiting(clock), []
    task = asyncio.ensure_future(sit(waiting, "q", clock.now() + 1000, log, "a"))
    await settle_loop()

    clock.advance(0.999)
    await settle_loop()
    assert log == []
    clock.advance(0.001)
    await task

    assert log == [("a", False)]


async def test_a_wait_that_time_ended_keeps_its_place_in_the_line():
    clock = ManualClock()
    waiting, log = Waiting(clock), []
    with waiting.seat("q") as first:
        first.look()
        other = asyncio.ensure_future(sit(waiting, "q", clock.now() + 9000, log, "other"))
        waited = asyncio.ensure_future(first.wait(clock.now() + 1000))
        await settle_loop()
        clock.advance(1)
        await waited
        first.look()

        waiting.wake("q")

        assert (first.called, log) == (True, [])
        first.served = True
    waiting.wake("q")
    await other


async def test_a_seat_that_leaves_with_nothing_makes_the_next_one_look():
    clock = ManualClock()
    waiting, log = Waiting(clock), []
    first = asyncio.ensure_future(sit(waiting, "q", clock.now() + 9000, log, "first"))
    other = asyncio.ensure_future(sit(waiting, "q", clock.now() + 9000, log, "other"))
    await settle_loop()

    first.cancel()
    await other

    assert log == [("other", True)]


async def test_a_seat_that_finds_work_of_which_nobody_told_makes_the_next_one_look():
    clock = ManualClock()
    waiting, log = Waiting(clock), []
    with waiting.seat("q") as seat:
        seat.look()
        other = asyncio.ensure_future(sit(waiting, "q", clock.now() + 1000, log, "other"))
        await settle_loop()
        seat.look()
        seat.served = True
    await other

    assert log == [("other", True)]


async def test_only_the_first_of_a_line_looks_without_a_reason_of_its_own():
    clock = ManualClock()
    waiting = Waiting(clock)
    due = clock.now() + 1000
    with waiting.seat("q") as first, waiting.seat("q") as second:
        assert (first.has_reason(due), second.has_reason(due)) == (True, False)
        assert second.has_reason(clock.now())
        waiting.wake("q", 2)
        assert second.has_reason(due)


async def test_another_queue_wakes_nobody():
    clock = ManualClock()
    waiting, log = Waiting(clock), []
    task = asyncio.ensure_future(sit(waiting, "q", clock.now() + 1000, log, "a"))
    await settle_loop()

    waiting.wake("other")
    await settle_loop()

    assert log == []
    waiting.wake("q")
    await task


async def test_closing_wakes_everybody_now_and_later():
    clock = ManualClock()
    waiting, log = Waiting(clock), []
    task = asyncio.ensure_future(sit(waiting, "q", clock.now() + 1000, log, "a"))
    await settle_loop()

    waiting.close()
    await task
    await sit(waiting, "q", clock.now() + 1000, log, "late")

    assert [name for name, _ in log] == ["a", "late"]


async def test_nothing_is_left_of_seats_that_are_gone():
    clock = ManualClock()
    waiting = Waiting(clock)
    tasks = [
        asyncio.ensure_future(sit(waiting, f"q{n % 3}", clock.now() + 1000, [], n))
        for n in range(30)
    ]
    await settle_loop()
    for task in tasks[::2]:
        task.cancel()
    waiting.wake("q1", 100)
    clock.advance(1)
    await asyncio.wait(tasks)

    assert waiting._lines == {}


@pytest.mark.parametrize("count", [0, 1, 5])
async def test_waking_an_empty_queue_is_harmless(count):
    Waiting(ManualClock()).wake("q", count)


async def test_to_leave_takes_no_search_through_those_who_stay(monkeypatch):
    clock = ManualClock()
    waiting = Waiting(clock)
    seats = [waiting.seat("q") for _ in range(1000)]
    for seat in seats:
        seat.__enter__()
    compared = []
    monkeypatch.setattr(Seat, "__eq__", lambda self, _: compared.append(self))

    for seat in reversed(seats):
        seat.served = True
        seat.__exit__(None, None, None)

    assert compared == []
    assert waiting._lines == {}


async def test_what_happens_to_one_queue_wakes_those_who_wait_for_it_and_nobody_else():
    waiting = Waiting(ManualClock())
    seats = [waiting.seat(queue) for queue in ("q", "other", "q")]
    for seat in seats:
        seat.__enter__()

    waiting.wake_line("q")
    waiting.wake_line("nobody's")

    assert [seat.called for seat in seats] == [True, False, True]


async def test_when_time_brings_work_one_looks_and_goes_on_to_wake_the_next_while_there_is_some():
    clock = ManualClock()
    waiting, log = Waiting(clock), []
    tasks = [
        asyncio.ensure_future(sit(waiting, "q", clock.now() + 9000, log, name)) for name in "abc"
    ]
    await settle_loop()

    waiting.expect("q", clock.now() + 1000)
    clock.advance(0.999)
    await settle_loop()
    assert log == []
    clock.advance(0.001)
    await asyncio.gather(*tasks)

    assert log == [("a", True), ("b", True), ("c", True)]


async def test_the_next_to_become_visible_is_what_is_waited_for():
    clock = ManualClock()
    waiting = Waiting(clock)
    called = []
    seat = waiting.seat("q", lambda: called.append(clock.now()))
    start = clock.now()
    seat.enter()
    for when in (2000, 1000, 3000, None):
        waiting.expect("q", when and start + when)

    clock.advance(1)
    assert called == [start + 1000]
    seat.look()
    clock.advance(5)

    assert (called, seat.prompted) == ([start + 1000], False)  # who looks is told what is next
    seat.leave()


async def test_nobody_is_woken_where_nobody_waits():
    clock = ManualClock()
    waiting = Waiting(clock)
    waiting.expect("q", clock.now() + 1000)
    seat = waiting.seat("q", lambda: pytest.fail("nobody told of work"))
    with seat:
        seat.look()
        clock.advance(2)
        waiting.expect("q", clock.now() + 1000)

    clock.advance(2)
    assert waiting._alarms == {}
