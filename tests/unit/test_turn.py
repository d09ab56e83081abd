import asyncio

import pytest

from broker import Overloaded, Quota
from broker.turn import CURRENT_TURN, Turn, Turns, resting


def quota(name, *, remaining, reset_seconds=0.0):
    return Quota(
        name=name, limit=200, window_seconds=1, remaining=remaining, reset_seconds=reset_seconds
    )


def test_an_answer_to_which_no_limit_applied_says_nothing_of_limits():
    assert Turn(Turns(1)).headers() == ()


def test_every_limit_that_applied_is_told_of():
    turn = Turn(Turns(1))
    turn.note((quota("second", remaining=199, reset_seconds=0.2), quota("all", remaining=0)))

    assert turn.headers() == (
        ("ratelimit-policy", '"second";q=200;w=1, "all";q=200;w=1'),
        ("ratelimit", '"second";r=199;t=1, "all";r=0;t=0'),
    )


def test_of_a_limit_that_applied_twice_the_latest_state_is_told():
    turn = Turn(Turns(1))
    turn.note((quota("a", remaining=5), quota("b", remaining=5)))
    turn.note((quota("a", remaining=4),))

    assert turn.headers()[1] == ("ratelimit", '"a";r=4;t=0, "b";r=5;t=0')


def test_a_turn_is_in_flight_until_it_ends():
    turns = Turns(5)
    first, second = Turn(turns), Turn(turns)
    assert turns.in_flight == 2
    first.end()
    assert turns.in_flight == 1
    second.end()
    assert turns.in_flight == 0


def test_a_turn_goes_on_until_it_ends_and_nobody_keeps_it():
    turn = Turn(Turns(1))
    turn.keep()
    assert turn.goes_on
    turn.end()
    assert turn.goes_on
    turn.leave()
    assert not turn.goes_on


async def test_a_turn_is_not_in_flight_while_it_rests():
    turns = Turns(1)
    turn = Turn(turns)
    CURRENT_TURN.set(turn)

    with resting():
        assert turns.in_flight == 0
    assert turns.in_flight == 1


def test_a_turn_in_which_several_wait_rests_until_all_are_awake():
    turns = Turns(1)
    turn = Turn(turns)
    turn.rest()
    turn.rest()

    turn.wake()
    assert turns.in_flight == 0
    turn.wake()
    assert turns.in_flight == 1
    turn.end()
    assert turns.in_flight == 0


async def test_what_outlives_its_turn_is_not_in_flight():
    turns = Turns(1)
    turn = Turn(turns)
    CURRENT_TURN.set(turn)
    waited = asyncio.Event()

    async def outlive():
        with resting():
            await waited.wait()

    task = asyncio.ensure_future(outlive())
    await asyncio.sleep(0)
    turn.end()
    assert turns.in_flight == 0
    waited.set()
    await task

    assert turns.in_flight == 0


async def test_who_waits_without_a_request_is_let_wait():
    with resting():
        assert CURRENT_TURN.get() is None


def test_a_turn_can_be_had_without_a_request_if_one_is_free():
    turns = Turns(1)
    with turns.taken():
        assert turns.in_flight == 1
        assert CURRENT_TURN.get() is not None
        with resting():
            assert turns.in_flight == 0
        with pytest.raises(Overloaded), turns.taken():
            raise AssertionError("entered")

    assert turns.in_flight == 0
    assert CURRENT_TURN.get() is None
