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


def test_looking_at_the_headers_of_consume_leases_nothing(with_queue):
    with_queue.publish()

    answer = with_queue("HEAD", "/queues/q/messages/consume")

    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert with_queue("GET", "/queues/q").json["counts"]["processing"] == 0


def test_a_request_that_was_begun_before_the_broker_drained_is_answered(with_queue):
    pending = with_queue.begin(
        "POST",
        "/queues/q/messages",
        body=[b'{"content": ', b'"in time"}'],
        content_type="application/json",
        slowly=True,
    )
    with_queue.broker.drain()

    answer = with_queue.finish(pending)

    assert answer.status == 201
    assert with_queue("GET", "/readyz").status == 503


def test_a_request_that_comes_while_the_broker_drains_is_not_begun(with_queue):
    with_queue.broker.drain()

    answer = with_queue("POST", "/queues/q/messages", json={"content": "too late"})

    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    assert answer.headers["connection"] == "close"
    assert answer.headers["retry-after"] == "1"
    assert with_queue("GET", "/healthz").status == 200
    assert with_queue("GET", "/readyz").status == 503
