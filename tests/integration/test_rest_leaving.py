"""A client that sends its request and goes with the last byte of it."""

import pytest


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/queues/q/messages/lease", b'{"limit": 10}'),
        ("POST", "/queues/q/messages/lease", b'{"limit": 10, "wait": 20}'),
        ("GET", "/queues/q/messages/consume", b""),
        ("GET", "/queues/q/messages/consume?wait=20", b""),
    ],
)
def test_one_who_asks_for_messages_and_goes_at_once_keeps_none(with_queue, method, path, body):
    with_queue.publish()

    with_queue.send_and_go(method, path, body)

    assert with_queue("GET", "/queues/q").json["counts"]["processing"] == 0
    [message] = with_queue.lease()
    assert message["delivery_count"] == 1


def test_one_who_waits_for_messages_and_goes_at_once_does_not_wait_on(with_queue):
    with_queue.send_and_go("GET", "/queues/q/messages/consume?wait=20")
    with_queue.publish()

    assert with_queue("GET", "/queues/q").json["counts"]["pending"] == 1
