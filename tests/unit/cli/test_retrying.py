"""Trying again, in a time that a test moves."""

import pytest

from broker.cli.client import Away, Problem, Refused
from broker.cli.retrying import keep_trying


class Time:
    def __init__(self):
        self.now = 0.0
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(round(seconds, 3))
        self.now += seconds


def away(retry_after=None):
    return Away("away", retry_after=retry_after, unsure=False)


def trying(outcomes, *, seconds):
    """Try with these outcomes, the last one again and again; return what came of it."""
    time, told, left = Time(), [], list(outcomes)

    def attempt():
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    try:
        result = keep_trying(
            attempt, seconds=seconds, tell=told.append, clock=lambda: time.now, sleep=time.sleep
        )
    except Away as error:
        result = error
    return result, time.slept, len(told)


def test_without_time_there_is_one_attempt_and_nothing_is_told():
    error = away()

    assert trying([error], seconds=0) == (error, [], 0)


def test_pauses_grow_to_two_seconds_and_end_at_the_deadline():
    error = away()

    result, slept, told = trying([error], seconds=8)

    assert result is error
    assert slept == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 0.9]
    assert told == 1


def test_the_first_success_ends_it():
    assert trying([away(), away(), "done"], seconds=8) == ("done", [0.1, 0.2], 1)


def test_the_broker_may_say_how_long_to_wait():
    assert trying([away(3), "done"], seconds=8) == ("done", [3], 1)


def test_a_broker_that_wants_more_time_than_there_is_is_not_waited_for():
    error = away(9)

    assert trying([error], seconds=8) == (error, [], 0)


def test_what_will_not_pass_is_not_tried_again():
    with pytest.raises(Refused, match="never"):
        trying([Refused(Problem("never"))], seconds=8)
