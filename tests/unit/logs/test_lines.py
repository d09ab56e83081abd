import json

import pytest

from broker.logs import cleaning
from broker.logs.lines import Answered, Told

AT = 1_700_000_000_123


def answered(**fields):
    known = {
        "at": AT,
        "request_id": "r-1",
        "method": "POST",
        "route": "/queues/{queue}/messages",
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


@pytest.mark.parametrize(
    ("route", "status", "level"),
    [
        ("/queues/{queue}/messages", 201, "info"),
        ("/queues/{queue}/messages", 404, "info"),
        ("/queues/{queue}/messages", 429, "info"),
        ("/queues/{queue}/messages", 500, "error"),
        ("/queues/{queue}/messages", 503, "warning"),
        ("/queues/{queue}/messages", 507, "warning"),
        ("unmatched", 404, "info"),
        ("/", 200, "info"),
        ("/healthz", 200, "debug"),
        ("/readyz", 200, "debug"),
        ("/metrics", 200, "debug"),
        ("/metrics", 401, "info"),
        ("/readyz", 503, "warning"),
        ("/healthz", 500, "error"),
    ],
)
def test_a_request_is_as_severe_as_what_became_of_it(route, status, level):
    line = answered(route=route, status=status)

    assert (line.level, line.fields()["level"]) == (level, level)


def test_a_line_that_takes_more_room_says_so():
    line = Told(at=AT, severity="info", message="m", logger="l")
    long = Told(
        at=AT, severity="info", message="m" * 100, logger="l", others={"a": "b" * 50, "c": 1}
    )

    assert long.weight() == line.weight() + 149
    assert answered(path="a" * 9, queue="q").weight() == answered().weight() + 10


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


def test_no_more_is_looked_through_of_a_path_than_is_told(monkeypatch):
    looked_at = []
    monkeypatch.setattr(cleaning, "redact", lambda text: looked_at.append(len(text)) or text)
    told = answered(route="unmatched", path="/" + "a" * 15_000).fields()

    assert all(length <= cleaning.LONGEST_NAME + 1 for length in looked_at)
    assert told["path"].startswith("/aaa")


def test_a_line_is_written_once_however_many_want_it():
    line = Told(at=AT, severity="info", message="m", logger="broker.acme")
    assert line.json() is line.json()
