import json

from broker.logs.lines import Answered, Told

AT = 1_700_000_000_123


def answered(**fields):
    known = {
        "at": AT,
        "request_id": "r-1",
        "method": "POST",
        "route": "POST /queues/{queue}/messages",
        "status": 201,
        "seconds": 0.0018744,
        "peer": "203.0.113.7",
        "identity": None,
        "queue": None,
        "path": None,
    }
    return Answered(**{**known, **fields})


def test_a_request_is_one_line_of_json():
    line = answered(identity="ana", queue="orders").json()

    assert line.endswith(b"}\n")
    assert json.loads(line) == {
        "timestamp": "2023-11-14T22:13:20.123Z",
        "level": "info",
        "message": "POST /queues/{queue}/messages",
        "logger": "broker.access",
        "request_id": "r-1",
        "method": "POST",
        "route": "/queues/{queue}/messages",
        "status": 201,
        "duration_ms": 1.874,
        "peer": "203.0.113.7",
        "identity": "ana",
        "queue": "orders",
    }


def test_what_a_client_wrote_adds_no_line_and_no_escape():
    hostile = "a\r\nb\x1b[31m\u2028\u202ec"
    line = answered(
        method=hostile,
        route="unmatched",
        peer=hostile,
        identity=hostile,
        queue=hostile,
        path=f"/{hostile}/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl" + "x" * 1000,
    ).json()

    text = line.decode()
    assert len(text.splitlines()) == 1
    assert text[:-1].isprintable()
    assert json.loads(line)["queue"] == "a\\u000d\\u000ab\\u001b[31m\\u2028\\u202ec"
    assert "eyJhbGci" not in text
    assert len(text) < 4096


def test_a_line_is_written_once_however_many_want_it():
    told = {"level": "info", "message": "m"}
    line = Told(at=AT, told=told)
    assert line.json() is line.json()
