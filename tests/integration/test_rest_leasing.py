"""Leasing: taking messages, waiting for them, getting them again."""

import pytest

LONG_POLL = "/queues/q/messages/lease"


def test_a_leased_message_comes_with_its_receipt(with_queue):
    message_id = with_queue.publish("hello")

    answer = with_queue("POST", "/queues/q/messages/lease", json={"limit": 5, "lease_seconds": 60})

    [leased] = answer.json["messages"]
    assert answer.json["paused"] is False
    assert answer.headers["cache-control"] == "no-store"
    assert (leased["id"], leased["message_id"], leased["status"]) == (
        message_id,
        message_id,
        "processing",
    )
    assert (leased["delivery_count"], leased["leased_by"]) == (1, "anonymous")
    assert leased["lease_expires_at"] == leased["visible_at"] == "2023-11-14T22:14:20.000Z"
    looked_at = with_queue("GET", f"/messages/{message_id}").json
    assert looked_at == {
        key: value for key, value in leased.items() if key not in {"receipt", "lease_expires_at"}
    }


def test_leasing_without_a_body_takes_one_message_for_the_queues_own_time(with_queue):
    with_queue.publish("a")
    with_queue.publish("b")

    [leased] = with_queue("POST", "/queues/q/messages/lease").json["messages"]

    assert (leased["content"], leased["lease_expires_at"]) == ("a", "2023-11-14T22:13:50.000Z")


def test_leased_messages_come_by_priority_then_age(with_queue):
    for content, priority in (("a", 1), ("b", 9), ("c", 9), ("d", 5)):
        with_queue.publish(content, priority=priority)

    assert [message["content"] for message in with_queue.lease(limit=100)] == ["b", "c", "d", "a"]


def test_an_empty_queue_answers_an_empty_lease(with_queue):
    assert with_queue("POST", LONG_POLL).json == {"messages": [], "paused": False}


def test_consume_answers_one_message_or_nothing(with_queue):
    with_queue.publish("a")

    full = with_queue("GET", "/queues/q/messages/consume?lease_seconds=5")
    empty = with_queue("GET", "/queues/q/messages/consume")

    assert (full.status, full.json["content"]) == (200, "a")
    assert full.json["lease_expires_at"] == "2023-11-14T22:13:25.000Z"
    assert full.json["receipt"]
    assert full.headers["cache-control"] == "no-store"
    assert (empty.status, empty.body, empty.headers["cache-control"]) == (204, b"", "no-store")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", LONG_POLL, {"wait": 20}), ("GET", "/queues/q/messages/consume?wait=20", None)],
)
def test_a_long_poll_gets_what_is_published_meanwhile(with_queue, method, path, body):
    waiting = with_queue.begin(method, path, json=body)
    with_queue.advance(19)
    assert not waiting.done

    with_queue.publish("late")

    assert b"late" in with_queue.finish(waiting).body


def test_a_long_poll_ends_after_its_time(with_queue):
    lease = with_queue.begin("POST", LONG_POLL, json={"wait": 1.5})
    consume = with_queue.begin("GET", "/queues/q/messages/consume?wait=1.5")
    with_queue.advance(1.4)
    assert not lease.done and not consume.done

    with_queue.advance(0.1)

    assert with_queue.finish(lease).json == {"messages": [], "paused": False}
    assert with_queue.finish(consume).status == 204


def test_a_long_poll_whose_client_goes_away_takes_nothing(with_queue):
    waiting = with_queue.begin("POST", LONG_POLL, json={"wait": 20})
    with_queue.hang_up(waiting)

    message_id = with_queue.publish()

    assert with_queue("GET", f"/messages/{message_id}").json["delivery_count"] == 0


def test_a_lapsed_lease_is_delivered_again_and_its_receipt_is_stale(with_queue):
    with_queue.publish()
    [first] = with_queue.lease()
    with_queue.advance(30)

    [second] = with_queue.lease()
    late = with_queue("POST", f"/messages/{first['id']}/ack", json={"receipt": first["receipt"]})

    assert (second["id"], second["delivery_count"]) == (first["id"], 2)
    assert (late.status, late.json["code"]) == (409, "lease-lost")
