"""Events as clients get them."""

import pytest
from event_stream import parse

from broker import Event
from broker_sse.entry import Entry, EventId, read_event_id

AT = 1_700_000_000_123
WRITTEN = "2023-11-14T22:13:20.123Z"


def entry(**fields):
    given = {"kind": "message.acked", "queue": "q", "at": AT, "subject": "root", "peer": "::1"}
    return Entry(EventId("e", 7), Event(**(given | fields)))


def test_an_event_is_told_under_its_own_name():
    [told] = parse(entry(message_id=5, state="processed").as_event)

    assert (told.name, told.id) == ("message.acked", "e-7")
    assert told.json == {
        "event": "message.acked",
        "queue": "q",
        "message_id": 5,
        "timestamp": WRITTEN,
        "state": "processed",
    }


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({"kind": "queue.paused"}, {}),
        ({"kind": "queue.purged", "count": 0}, {"count": 0}),
        ({"kind": "queue.redriven"}, {"count": 1}),
        ({"kind": "message.expired", "count": 3}, {"count": 3}),
        (
            {"kind": "message.dead_lettered", "moved_to": "dead", "reason": "no\r\nid: 1\0"},
            {"moved_to": "dead", "reason": "no\r\nid: 1\0"},
        ),
    ],
)
def test_only_what_means_something_is_told(fields, more):
    [told] = parse(entry(**fields).as_event)

    assert told.json == {
        "event": fields["kind"],
        "queue": "q",
        "timestamp": WRITTEN,
        **more,
    }


def test_nobody_is_told_who_it_was():
    assert b"root" not in entry().as_event + entry().as_message
    assert b"::1" not in entry().as_event + entry().as_message


def test_whoever_watches_one_queue_is_told_in_another_form():
    [told] = parse(entry(message_id=5, state="processed").as_message)

    assert (told.name, told.id) == ("message", "e-7")
    assert told.json == {
        "queue": "q",
        "message_id": 5,
        "event": "message.acked",
        "timestamp": WRITTEN,
    }


def test_an_event_is_written_once():
    one = entry()
    assert one.as_event is one.as_event
    assert one.as_message is one.as_message


@pytest.mark.parametrize("text", ["e-0", "e-7", "0a-9223372036854775807", "2fc98e767694-1"])
def test_an_id_is_read_as_it_was_written(text):
    assert str(read_event_id(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "e", "e-", "-1", "e-01", "e--1", "e-1 ", " e-1", "E-1", "e-1\n", "e-1\0", "e-١", "é-1"]
    + ["e" * 33 + "-1", "e-" + "1" * 20],
)
def test_what_can_be_no_id_is_none(text):
    assert read_event_id(text) is None
