import logging

from broker import Event
from broker.builtin.log import LogObserver

CREATED = Event(kind="queue.created", queue="orders", at=1, subject="ana")
FAILED = Event(
    kind="message.rejected",
    queue="orders",
    at=1,
    subject="bob\nqueue.deleted",
    message_id=7,
    moved_to="dead",
    reason="bad\r\nline",
)


def test_what_happens_to_queues_is_logged_and_messages_only_when_debugging(caplog):
    with caplog.at_level(logging.INFO):
        LogObserver(logging.getLogger("observer")).notify([CREATED, FAILED])

    assert caplog.messages == ["queue.created queue=orders by='ana'"]


def test_an_event_is_one_line_whatever_clients_wrote(caplog):
    with caplog.at_level(logging.DEBUG):
        LogObserver(logging.getLogger("observer")).notify([FAILED])

    assert caplog.messages == [
        "message.rejected queue=orders message=7 moved_to=dead "
        "reason='bad\\r\\nline' by='bob\\nqueue.deleted'"
    ]
