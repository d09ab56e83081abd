"""Code that never returns is ended."""

import signal
import threading
import time

import pytest

from broker.alarm import TooSlow, alarm


def spin():
    """Never return, as far as an alarm is concerned; without one, a test shall fail, not hang."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        pass


def test_what_never_returns_is_ended():
    with pytest.raises(TooSlow, match=r"^it did not end within 0.01 s$"), alarm(0.01):
        spin()


def test_what_tries_again_is_ended_all_the_same(monkeypatch):
    monkeypatch.setattr("broker.alarm.AGAIN_SECONDS", 0.01)
    tries = iter([spin, spin])

    with pytest.raises(TooSlow), alarm(0.01):
        for again in tries:
            try:
                again()
            except TooSlow:
                pass
        spin()


def test_it_does_not_ring_while_it_must_not(monkeypatch):
    monkeypatch.setattr("broker.alarm.AGAIN_SECONDS", 0.01)
    asked = []

    def unless():
        asked.append(True)
        return len(asked) < 3

    with pytest.raises(TooSlow), alarm(0.01, unless=unless):
        spin()
    assert len(asked) == 3


def test_the_alarm_that_was_there_goes_on():
    handler = signal.getsignal(signal.SIGALRM)
    before = signal.setitimer(signal.ITIMER_REAL, 1000)
    try:
        with alarm(60):
            pass
        left, _ = signal.getitimer(signal.ITIMER_REAL)
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)

    assert 0 < left <= 1000
    assert signal.getsignal(signal.SIGALRM) is handler


def test_in_a_thread_it_does_nothing():
    entered = []

    def enter():
        with alarm(60):
            entered.append(signal.getsignal(signal.SIGALRM))

    before = signal.getsignal(signal.SIGALRM)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()

    assert entered == [before]
