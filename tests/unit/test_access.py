"""The line for each answer: one, whichever way it came about."""

from broker.access import TellingTranslator
from broker.http import Request, Response
from broker.status import Served
from broker.testing import ManualClock
from broker.turn import CURRENT_TURN, Turn, Turns
from types import SimpleNamespace

CLOCK = ManualClock()


def make():
    served, lines = Served(), []
    broker = SimpleNamespace(clock=CLOCK, served=served, turns=Turns(1))
    return TellingTranslator(broker, {}, lines.append), served, lines


def request(**fields):
    return Request(method="GET", path="/queues/q", peer="203.0.113.7", request_id="r-1", **fields)


def test_an_answer_is_counted_and_told_with_all_that_is_known_of_it():
    translator, served, lines = make()
    turn = Turn(Turns(1), "r-1")
    turn.identity = "ana"
    token = CURRENT_TURN.set(turn)
    response = Response(status=201)

    answered = translator.count(
        "GET /queues/{queue}", response, request(params={"queue": "q"}), 0.5
    )

    CURRENT_TURN.reset(token)
    assert answered is response
    assert served.requests == {("GET /queues/{queue}", 201): 1}
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


def test_where_no_route_was_found_the_path_is_told():
    translator, _, lines = make()
    translator.count("unmatched", Response(status=404), request())

    told = lines[0].fields()
    assert (told["route"], told["path"], "identity" in told) == ("unmatched", "/queues/q", False)
