"""Settling: what becomes of a lease."""

import pytest


def settle(call, **body):
    return call("POST", "/messages/settle", json=body)


def leased(call, count=1):
    """Publish and lease messages; return them."""
    for number in range(count):
        call.publish(str(number))
    return call.lease(limit=count)


def test_many_leases_are_settled_at_once_in_a_fixed_order(with_queue):
    messages = leased(with_queue, 6)
    one, two, three, four, five, six = (message["receipt"] for message in messages)

    answer = settle(
        with_queue,
        extend=[{"receipt": six, "seconds": 60.5}],
        reject=[{"receipt": five, "reason": "bad"}],
        release=[{"receipt": four}],
        retry=[{"receipt": three, "delay": 1.5, "reason": "later"}],
        ack=[one, {"receipt": two}],
    )

    assert answer.status == 200
    ok = {"outcome": "ok", "queue": "q"}
    assert answer.json == {
        "results": [
            {**ok, "kind": "ack", "index": 0, "message_id": 1, "status": "processed"},
            {**ok, "kind": "ack", "index": 1, "message_id": 2, "status": "processed"},
            {
                **ok,
                "kind": "retry",
                "index": 0,
                "message_id": 3,
                "status": "pending",
                "visible_at": "2023-11-14T22:13:21.500Z",
            },
            {**ok, "kind": "release", "index": 0, "message_id": 4, "status": "pending"},
            {**ok, "kind": "reject", "index": 0, "message_id": 5, "status": "failed"},
            {
                **ok,
                "kind": "extend",
                "index": 0,
                "message_id": 6,
                "status": "processing",
                "lease_expires_at": "2023-11-14T22:14:20.500Z",
            },
        ]
    }
    assert with_queue("GET", "/messages/4").json["delivery_count"] == 0
    assert with_queue("GET", "/messages/5").json["reason"] == "bad"


def test_every_list_takes_bare_receipts(with_queue):
    with_queue("PATCH", "/queues/q", json={"retry_base": 8, "jitter": 0, "lease_seconds": 90})
    receipts = [message["receipt"] for message in leased(with_queue, 5)]
    kinds = ("ack", "retry", "release", "reject", "extend")

    results = settle(
        with_queue, **{kind: [receipt] for kind, receipt in zip(kinds, receipts, strict=True)}
    ).json["results"]

    assert [result["status"] for result in results] == [
        "processed",
        "pending",
        "pending",
        "failed",
        "processing",
    ]
    assert results[1]["visible_at"] == "2023-11-14T22:13:28.000Z"
    assert results[4]["lease_expires_at"] == "2023-11-14T22:14:50.000Z"


def test_nothing_to_settle_is_settled(call):
    assert settle(call).json == {"results": []}
    assert settle(call, ack=[]).json == {"results": []}


def test_each_lease_is_settled_by_itself(with_queue):
    first, second = leased(with_queue, 2)
    settle(with_queue, ack=[first["receipt"]])

    answer = settle(with_queue, reject=[first["receipt"], second["receipt"]])

    assert answer.status == 200
    assert [(result["outcome"], result.get("status")) for result in answer.json["results"]] == [
        ("wrong_state", None),
        ("ok", "failed"),
    ]


def test_a_dead_letter_tells_where_it_went(with_queue):
    with_queue("POST", "/queues", json={"name": "dead"})
    with_queue("PATCH", "/queues/q", json={"dead_letter_queue": "dead"})
    [message] = leased(with_queue)

    [result] = settle(with_queue, reject=[{"receipt": message["receipt"]}]).json["results"]

    assert (result["outcome"], result["status"], result["queue"]) == ("ok", "pending", "dead")
    looked_at = with_queue("GET", f"/messages/{message['id']}").json
    assert (looked_at["queue"], looked_at["origin_queue"]) == ("dead", "q")


def test_settling_and_publishing_is_one_step(with_queue):
    with_queue("POST", "/queues", json={"name": "next"})
    [message] = leased(with_queue)

    answer = settle(
        with_queue,
        ack=[message["receipt"]],
        publish=[{"queue": "next", "content": "then", "priority": 7}],
    )

    assert [result["outcome"] for result in answer.json["results"]] == ["ok"]
    [published] = with_queue.lease("next")
    assert (published["content"], published["priority"]) == ("then", 7)
    assert answer.json["published"] == [{"message_id": published["id"], "duplicate": False}]


def test_a_settlement_that_publishes_again_tells_the_first_id(with_queue):
    first, second = leased(with_queue, 2)
    then = {"queue": "q", "content": "then", "dedup_key": "k"}

    answers = [
        settle(with_queue, ack=[message["receipt"]], publish=[then]).json
        for message in (first, second)
    ]

    [published] = with_queue.lease(limit=9)
    assert [answer["published"] for answer in answers] == [
        [{"message_id": published["id"], "duplicate": False}],
        [{"message_id": published["id"], "duplicate": True}],
    ]


def test_a_settlement_without_a_message_to_publish_tells_of_none(with_queue):
    [message] = leased(with_queue)

    assert [*settle(with_queue, ack=[message["receipt"]]).json] == ["results"]


def test_nothing_is_published_when_a_lease_cannot_be_settled(with_queue):
    first, second, third = leased(with_queue, 3)
    settle(with_queue, ack=[first["receipt"]])
    before = with_queue.queues()

    answer = settle(
        with_queue,
        ack=[second["receipt"]],
        reject=[third["receipt"], first["receipt"]],
        publish=[{"queue": "q", "content": "then"}],
    )

    assert (answer.status, answer.json["code"]) == (409, "nothing-settled")
    assert answer.json["errors"] == [{"field": "reject[1]", "message": "wrong_state"}]
    assert with_queue.queues() == before


def test_publishing_alone_is_fine(with_queue):
    answer = settle(with_queue, publish=[{"queue": "q", "content": ""}])

    [published] = with_queue.lease()
    assert answer.json == {
        "results": [],
        "published": [{"message_id": published["id"], "duplicate": False}],
    }


def test_a_settlement_cannot_publish_to_a_queue_that_is_not_there(with_queue):
    [message] = leased(with_queue)
    before = with_queue.queues()

    answer = settle(
        with_queue, ack=[message["receipt"]], publish=[{"queue": "absent", "content": ""}]
    )

    assert (answer.status, answer.json["code"]) == (404, "queue-not-found")
    assert with_queue.queues() == before


def test_a_thousand_receipts_are_taken_and_no_more(with_queue):
    [message] = leased(with_queue)
    receipts = [message["receipt"]]

    taken = settle(with_queue, extend=receipts * 999, ack=receipts)
    refused = settle(with_queue, ack=receipts * 999, retry=receipts, extend=receipts)

    assert taken.json["results"][0]["outcome"] == "ok"
    assert (refused.status, refused.fields) == (422, ["extend"])
    assert "at most 1000 receipts in all lists, got 1001" in refused.json["detail"]


@pytest.mark.parametrize(
    ("path", "body", "answered", "status"),
    [
        ("ack", {}, {"detail": "Message 1 acknowledged successfully."}, "processed"),
        ("nack", {}, {"detail": "Message 1 successfully marked as failed."}, "failed"),
        (
            "nack?requeue=false",
            {"reason": "bad"},
            {"detail": "Message 1 successfully marked as failed."},
            "failed",
        ),
        (
            "nack?requeue=true",
            {"delay": 5, "reason": "busy"},
            {"detail": "Message 1 successfully requeued (pending)."},
            "pending",
        ),
        ("release", {}, {"detail": "Message 1 released successfully."}, "pending"),
        (
            "extend",
            {"seconds": 60},
            {
                "detail": "The lease of message 1 was extended successfully.",
                "lease_expires_at": "2023-11-14T22:14:20.000Z",
            },
            "processing",
        ),
        (
            "extend",
            {},
            {
                "detail": "The lease of message 1 was extended successfully.",
                "lease_expires_at": "2023-11-14T22:13:50.000Z",
            },
            "processing",
        ),
    ],
)
@pytest.mark.parametrize("fenced", [True, False])
def test_one_message_is_settled_by_its_id(with_queue, path, body, answered, status, fenced):
    [message] = leased(with_queue)
    receipt = {"receipt": message["receipt"]} if fenced else {}

    answer = with_queue("POST", f"/messages/1/{path}", json={**receipt, **body})

    assert (answer.status, answer.json) == (200, answered)
    looked_at = with_queue("GET", "/messages/1").json
    assert looked_at["status"] == status
    assert "reason" not in body or looked_at["reason"] == body["reason"]


@pytest.mark.parametrize("path", ["ack", "nack", "nack?requeue=True", "extend", "release"])
def test_one_message_is_settled_without_any_body(with_queue, path):
    leased(with_queue)

    assert with_queue("POST", f"/messages/1/{path}").status == 200


def test_a_requeue_of_a_message_that_was_delivered_too_often_says_that_it_failed(with_queue):
    with_queue("PATCH", "/queues/q", json={"max_deliveries": 1})
    leased(with_queue)

    answer = with_queue("POST", "/messages/1/nack?requeue=true")

    assert answer.json == {"detail": "Message 1 successfully marked as failed."}


def test_a_requeue_that_ends_in_the_dead_letter_queue_says_that_it_failed(with_queue):
    with_queue("POST", "/queues", json={"name": "dead"})
    with_queue("PATCH", "/queues/q", json={"max_deliveries": 1, "dead_letter_queue": "dead"})
    leased(with_queue)

    answer = with_queue("POST", "/messages/1/nack?requeue=true")

    assert answer.json == {"detail": "Message 1 successfully marked as failed."}


@pytest.mark.parametrize("path", ["ack", "nack", "extend", "release"])
def test_a_message_that_is_not_leased_is_409_and_an_unknown_one_404(with_queue, path):
    with_queue.publish()

    pending = with_queue("POST", f"/messages/1/{path}")
    unknown = with_queue("POST", f"/messages/2/{path}")

    assert (pending.status, pending.json["code"]) == (409, "wrong-state")
    assert (unknown.status, unknown.json["code"]) == (404, "message-not-found")
    assert "detail" in pending.json and "detail" in unknown.json


def test_an_ack_can_be_repeated_with_its_receipt(with_queue):
    [message] = leased(with_queue)
    receipt = {"receipt": message["receipt"]}

    assert with_queue("POST", "/messages/1/ack", json=receipt).status == 200
    assert with_queue("POST", "/messages/1/ack", json=receipt).status == 200


def test_a_receipt_of_another_message_is_refused(with_queue):
    _, second = leased(with_queue, 2)
    before = with_queue.queues()

    answer = with_queue("POST", "/messages/1/ack", json={"receipt": second["receipt"]})

    assert (answer.status, answer.fields) == (422, ["receipt"])
    assert "is of message 2, not of 1" in answer.json["detail"]
    assert with_queue.queues() == before


def test_a_broker_can_demand_receipts(serve):
    call = serve(anonymous=True, require_receipt=True)
    call("POST", "/queues", json={"name": "q"})
    [message] = leased(call)

    without = call("POST", "/messages/1/ack")
    receipt = call("POST", "/messages/1/ack", json={"receipt": message["receipt"]})

    assert (without.status, without.fields) == (422, ["receipt"])
    assert receipt.status == 200


def test_a_message_that_failed_at_once_is_not_tried_later(with_queue):
    leased(with_queue)
    before = with_queue.queues()

    answer = with_queue("POST", "/messages/1/nack", json={"delay": 5})

    assert (answer.status, answer.json["detail"]) == (422, "delay: needs requeue=true")
    assert with_queue.queues() == before
