"""What is known of each request when it is over: one count, and one line if somebody wants it."""

import pytest

from broker.access import GONE, UNMATCHED, Access
from broker.http import Request
from broker.status import Served
from broker.testing import ManualClock
from broker.turn import CURRENT_TURN, Turn, Turns

CLOCK = ManualClock()
PLACE = ("GET", "/queues/{queue}")


def make():
    served, lines = Served(), []
    return Access(served, CLOCK.now, lines.append), served, lines


def request(**fields):
    return Request(method="GET", path="/queues/q", peer="203.0.113.7", request_id="r-1", **fields)


def test_an_answer_is_counted_and_told_with_all_that_is_known_of_it():
    access, served, lines = make()
    turn = Turn(Turns(1), "r-1")
    turn.identity = "ana"
    token = CURRENT_TURN.set(turn)

    access.note(PLACE, 201, request(params={"queue": "q"}), 0.5, is_measured=True)

    CURRENT_TURN.reset(token)
    assert served.requests() == {(*PLACE, "201"): 1}
    assert served.durations.read()[*PLACE, "201"].sum == 0.5
    assert [one.fields() for one in lines] == [
        {
            "level": "info",
            "message": "GET /queues/{queue}",
            "logger": "broker.access",
            "request_id": "r-1",
            "method": "GET",
            "route": "/queues/{queue}",
            "status": 201,
            "duration_ms": 500.0,
            "peer": "203.0.113.7",
            "identity": "ana",
            "queue": "q",
        }
    ]
    assert lines[0].at == CLOCK.now()


@pytest.mark.parametrize("status", [503, GONE])
def test_what_was_refused_or_given_up_is_counted_and_told_but_not_measured(status):
    access, served, lines = make()

    access.note(PLACE, status, request(), 14)

    assert served.requests() == {(*PLACE, str(status)): 1}
    assert served.durations.read() == {}
    assert [(one.status, one.seconds) for one in lines] == [(status, 14)]


def test_where_no_route_was_found_the_path_is_told():
    access, served, lines = make()
    access.note(UNMATCHED, 404, request())

    told = lines[0].fields()
    assert (told["route"], told["path"], "identity" in told) == ("unmatched", "/queues/q", False)
    assert served.requests() == {("*", "unmatched", "404"): 1}


def test_nobody_needs_to_be_told():
    served = Served()
    Access(served, CLOCK.now, None).note(PLACE, 200, request(), 0.1, is_measured=True)

    assert served.requests().total() == 1
