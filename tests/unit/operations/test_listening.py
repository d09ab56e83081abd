"""How one observer is told, and when no more."""

import asyncio
import logging
from threading import Event as Flag
from threading import current_thread, main_thread

import pytest
from misbehaving import odd_errors

from broker import Event, Observer
from broker.isolation import Failures
from broker.operations import listening
from broker.operations.listening import (
    MOST_FAILURES,
    MOST_SLOW_SECONDS,
    SLOW_SECONDS,
    SLOW_WINDOW_SECONDS,
    InLoop,
    InThread,
)
from broker.testing import ManualClock

EVENTS = (Event(kind="queue.created", queue="q", at=1, subject="ana"),)


class Records(Observer):
    def __init__(self, error=None):
        self.calls, self.error, self.threads = [], error, set()

    def notify(self, events):
        self.calls.append(events)
        self.threads.add(current_thread())
        if self.error:
            raise self.error


class Stuck(Records):
    """Does not return until it is let go."""

    def __init__(self):
        super().__init__()
        self.entered, self.go_on = Flag(), Flag()

    def notify(self, events):
        super().notify(events)
        self.entered.set()
        self.go_on.wait()


class Ticks:
    """Monotonic time in which each second look is later by so much."""

    def __init__(self, took=0.0):
        self.now, self.took, self.looks = 1000.0, took, 0

    def __call__(self):
        self.looks += 1
        if self.looks % 2 == 0:
            self.now += self.took
        return self.now


def failures():
    return Failures(ManualClock())


def in_loop(observer, ticks=None):
    return InLoop("acme", observer, failures(), ticks or Ticks())


def errors(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(**odd_errors)
def test_nothing_that_an_observer_raises_reaches_the_operation(error, caplog):
    broken = Records(error)
    listener = in_loop(broken)
    listener.tell(EVENTS)

    assert broken.calls == [EVENTS]
    assert listener._failures == {("acme", "observe"): 1}
    assert caplog.messages == ['plugin "acme" failed to observe']


def test_an_observer_that_always_fails_is_told_no_more(caplog):
    broken = Records(ValueError("x" * 1000))
    listener = in_loop(broken)
    for _ in range(2 * MOST_FAILURES):
        listener.tell(EVENTS)

    assert len(broken.calls) == MOST_FAILURES
    assert listener._failures["acme", "observe any more"] == 1
    assert len(caplog.text) < 5_000  # whoever fails with each message fills no disk
    assert caplog.messages[-1] == (
        'the observer of plugin "acme" is told no more: it failed 100 times in a row; '
        "mend it, or take it from broker.plugins, and start the broker again"
    )


def test_an_observer_that_fails_now_and_then_goes_on():
    broken = Records(ValueError())
    listener = in_loop(broken)
    for _ in range(3):
        broken.error = ValueError()
        for _ in range(MOST_FAILURES - 1):
            listener.tell(EVENTS)
        broken.error = None
        listener.tell(EVENTS)

    assert len(broken.calls) == 3 * MOST_FAILURES


def test_an_observer_that_blocks_the_loop_is_told_no_more(caplog):
    observer, ticks = Records(), Ticks(took=0.2)
    listener = in_loop(observer, ticks)
    for _ in range(10):
        listener.tell(EVENTS)

    assert len(observer.calls) == 3
    assert listener._failures == {
        ("acme", "observe in time"): 3,
        ("acme", "observe any more"): 1,
    }
    assert caplog.messages[0] == ('the observer of plugin "acme" kept all others waiting for 0.2 s')
    assert errors(caplog) == [
        'the observer of plugin "acme" is told no more: it blocks the event loop; '
        "without in_loop = True it has a thread of its own; "
        "mend it, or take it from broker.plugins, and start the broker again"
    ]


def test_one_that_blocks_it_for_long_is_told_no_more_at_once():
    observer = Records()
    listener = in_loop(observer, Ticks(took=MOST_SLOW_SECONDS + 0.1))
    listener.tell(EVENTS)
    listener.tell(EVENTS)

    assert len(observer.calls) == 1


def test_one_that_raises_after_it_blocked_is_blamed_for_both():
    listener = in_loop(Records(ValueError()), Ticks(took=1))
    listener.tell(EVENTS)

    assert listener._failures == {
        ("acme", "observe"): 1,
        ("acme", "observe in time"): 1,
        ("acme", "observe any more"): 1,
    }


def test_one_that_was_held_up_itself_now_and_then_goes_on():
    observer, ticks = Records(), Ticks(took=MOST_SLOW_SECONDS)
    listener = in_loop(observer, ticks)
    for _ in range(5):
        listener.tell(EVENTS)
        ticks.now += SLOW_WINDOW_SECONDS
    ticks.took = SLOW_SECONDS / 2
    for _ in range(100):
        listener.tell(EVENTS)

    assert len(observer.calls) == 105


async def test_what_blocks_in_its_thread_holds_up_neither_who_tells_it_nor_the_end(
    monkeypatch, caplog
):
    monkeypatch.setattr(listening, "DRAIN_SECONDS", 0)
    stuck = Stuck()
    thread = InThread("acme", stuck, failures())
    thread.start()
    for _ in range(3):
        thread.tell(EVENTS)
    await asyncio.to_thread(stuck.entered.wait)
    await thread.stop()

    assert caplog.messages == [
        'the observer of plugin "acme" did not take 3 events before the broker stopped'
    ]
    assert thread._failures == {("acme", "keep up with events"): 3}
    [of_it] = stuck.threads
    assert of_it.daemon
    assert of_it.name == "observer of acme"
    stuck.go_on.set()
    of_it.join()
    assert len(stuck.calls) == 1  # it was given up


async def test_a_thread_tells_in_order_what_it_was_handed_operation_by_operation():
    observer = Records()
    thread = InThread("acme", observer, failures())
    thread.start()
    handed = [EVENTS * count for count in range(1, 50)]
    for events in handed:
        thread.tell(events)
    await thread.stop()

    assert observer.calls == handed
    assert main_thread() not in observer.threads


async def test_what_a_thread_is_too_slow_for_is_lost_counted_and_told_once(monkeypatch, caplog):
    monkeypatch.setattr(listening, "MOST_WAITING", 4)
    stuck = Stuck()
    thread = InThread("acme", stuck, failures())
    thread.start()
    thread.tell(EVENTS)
    await asyncio.to_thread(stuck.entered.wait)
    for _ in range(10):
        thread.tell(EVENTS)
    assert caplog.messages == [
        'the observer of plugin "acme" is too slow: 4 events wait for it, '
        "and it is not told of what comes now"
    ]
    stuck.go_on.set()
    while thread._backlog:
        await asyncio.to_thread(stuck.entered.wait)
    thread.tell(EVENTS * 2)
    await thread.stop()

    assert caplog.messages[1:] == [
        'the observer of plugin "acme" is told again; it missed 7 events'
    ]
    assert stuck.calls == [EVENTS] * 4 + [EVENTS * 2]
    assert thread._failures == {("acme", "keep up with events"): 7}


@pytest.mark.parametrize(**odd_errors)
async def test_a_thread_survives_what_its_observer_raises(error):
    broken = Records(error)
    thread = InThread("acme", broken, failures())
    thread.start()
    for _ in range(MOST_FAILURES + 5):
        thread.tell(EVENTS)
    await thread.stop()

    assert len(broken.calls) == MOST_FAILURES
    assert thread._failures["acme", "observe"] == MOST_FAILURES


def test_a_thread_that_is_stuck_outlives_the_loop_without_a_word(monkeypatch, caplog):
    monkeypatch.setattr(listening, "DRAIN_SECONDS", 0)
    stuck = Stuck()

    async def run():
        thread = InThread("acme", stuck, failures())
        thread.start()
        thread.tell(EVENTS)
        await asyncio.to_thread(stuck.entered.wait)
        await thread.stop()

    asyncio.run(run())
    caplog.clear()
    stuck.go_on.set()
    [of_it] = stuck.threads
    of_it.join()

    assert caplog.messages == []
