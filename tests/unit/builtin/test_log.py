import logging

from broker import Event
from broker.builtin.log import LogObserver

CREATED = Event(kind="queue.created", queue="orders", at=1, subject="ana")
FAILED = Event(
    kind="message.rejected",
    queue="orders",
    at=1,
    subject="bob",
    message_id=7,
    moved_to="dead",
    reason="bad",
)
FIELDS = ("queue", "message_id", "count", "moved_to", "reason", "identity")


def told(caplog):
    """What was logged: each message, with those of the fields that there are."""
    return [
        (one.message, {name: vars(one)[name] for name in FIELDS if name in vars(one)})
        for one in caplog.records
    ]


def test_what_happens_to_queues_is_logged_and_messages_only_when_debugging(caplog):
    with caplog.at_level(logging.INFO):
        LogObserver(logging.getLogger("observer")).notify([CREATED, FAILED])

    assert told(caplog) == [("queue.created", {"queue": "orders", "identity": "ana"})]


def test_all_that_an_event_tells_is_a_field(caplog):
    with caplog.at_level(logging.DEBUG):
        LogObserver(logging.getLogger("observer")).notify([FAILED])

    fields = {"queue": "orders", "message_id": 7, "moved_to": "dead", "reason": "bad"}
    assert told(caplog) == [("message.rejected", {**fields, "identity": "bob"})]
