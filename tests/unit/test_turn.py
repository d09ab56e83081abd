from broker import Quota
from broker.turn import Turn


def quota(name, *, remaining, reset_seconds=0.0):
    return Quota(
        name=name, limit=200, window_seconds=1, remaining=remaining, reset_seconds=reset_seconds
    )


def test_an_answer_to_which_no_limit_applied_says_nothing_of_limits():
    assert Turn().headers() == ()


def test_every_limit_that_applied_is_told_of():
    turn = Turn()
    turn.note((quota("second", remaining=199, reset_seconds=0.2), quota("all", remaining=0)))

    assert turn.headers() == (
        ("ratelimit-policy", '"second";q=200;w=1, "all";q=200;w=1'),
        ("ratelimit", '"second";r=199;t=1, "all";r=0;t=0'),
    )


def test_of_a_limit_that_applied_twice_the_latest_state_is_told():
    turn = Turn()
    turn.note((quota("a", remaining=5), quota("b", remaining=5)))
    turn.note((quota("a", remaining=4),))

    assert turn.headers()[1] == ("ratelimit", '"a";r=4;t=0, "b";r=5;t=0')
