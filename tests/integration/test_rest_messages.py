"""Messages: publishing, looking at them, deleting them."""

import base64
import json

import pytest


def publish(call, json=None, **request):
    answer = call("POST", "/queues/q/messages", json=json, **request)
    assert answer.status == 201, answer.body
    return call("GET", answer.headers["location"]).json


def test_a_published_message_is_answered_with_its_id_and_place(with_queue):
    answer = with_queue("POST", "/v1/queues/q/messages", json={"content": "hello"})

    assert (answer.status, answer.headers["location"]) == (201, "/v1/messages/1")
    assert answer.json == {
        "message": "Message published successfully.",
        "message_id": 1,
        "duplicate": False,
    }


def test_a_message_can_be_looked_at(with_queue):
    message = publish(with_queue, {"content": "hello"})

    assert message == {
        "id": 1,
        "message_id": 1,
        "queue": "q",
        "queue_id": 1,
        "content": "hello",
        "content_type": "text/plain; charset=utf-8",
        "headers": {},
        "priority": 4,
        "group": None,
        "dedup_key": None,
        "status": "pending",
        "created_at": "2023-11-14T22:13:20.000Z",
        "updated_at": "2023-11-14T22:13:20.000Z",
        "visible_at": "2023-11-14T22:13:20.000Z",
        "expires_at": None,
        "delivery_count": 0,
        "first_delivered_at": None,
        "finished_at": None,
        "reason": None,
        "origin_queue": None,
        "leased_by": None,
    }


def test_every_option_of_a_message_is_kept(with_queue):
    message = publish(
        with_queue,
        {
            "content": "{}",
            "content_type": "application/json",
            "headers": {"traceparent": "00-1", "Größe": ""},
            "priority": 9,
            "delay": 1.5,
            "ttl": 60,
            "group": "g",
            "dedup_key": "k",
        },
    )

    expected = {
        "content": "{}",
        "content_type": "application/json",
        "headers": {"traceparent": "00-1", "Größe": ""},
        "priority": 9,
        "visible_at": "2023-11-14T22:13:21.500Z",
        "expires_at": "2023-11-14T22:14:20.000Z",
        "group": "g",
        "dedup_key": "k",
    }
    assert {key: message[key] for key in expected} == expected


def test_null_is_the_same_as_leaving_an_option_out(with_queue):
    nulls = dict.fromkeys(("content_type", "delay", "ttl", "group", "dedup_key"))

    assert publish(with_queue, {"content": "", **nulls})["status"] == "pending"


@pytest.mark.parametrize(
    "content",
    ["", "\x00", "a\nb\x1b", "😀 ü", '{"a": [1]}', "\ufeff"],
)
def test_any_text_comes_back_as_it_was(with_queue, content):
    assert publish(with_queue, {"content": content})["content"] == content


@pytest.mark.parametrize("body", [b"\xff\x00", b"\xed\xa0\x80", bytes(range(256))])
def test_any_bytes_come_back_as_they_were(with_queue, body):
    message = publish(with_queue, {"content_base64": base64.b64encode(body).decode()})

    assert base64.b64decode(message["content_base64"], validate=True) == body
    assert "content" not in message
    assert message["content_type"] == "application/octet-stream"


def test_base64_that_is_text_comes_back_as_text(with_queue):
    assert publish(with_queue, {"content_base64": "aGVsbG8="})["content"] == "hello"


def test_any_other_content_type_is_a_raw_body(with_queue):
    message = publish(with_queue, body=b"<a/>", content_type="text/xml; charset=utf-8")

    assert message["content"] == "<a/>"
    assert message["content_type"] == "text/xml; charset=utf-8"


def test_a_raw_body_needs_no_content_type_and_may_be_empty(with_queue):
    message = publish(with_queue)

    assert (message["content"], message["content_type"]) == ("", "application/octet-stream")


def test_a_raw_body_has_its_options_in_the_query_string(with_queue):
    answer = with_queue(
        "POST",
        "/queues/q/messages?priority=7&delay=0.5&ttl=60&group=a%20b&dedup_key=k",
        body=b"raw",
        content_type="application/cloudevents+json",
    )
    message = with_queue("GET", answer.headers["location"]).json

    assert (message["priority"], message["group"], message["dedup_key"]) == (7, "a b", "k")
    assert message["visible_at"] == "2023-11-14T22:13:20.500Z"
    assert message["expires_at"] == "2023-11-14T22:14:20.000Z"


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=UTF-8"])
def test_json_describes_a_message(with_queue, content_type):
    body = json.dumps({"content": "x"}).encode()

    assert publish(with_queue, body=body, content_type=content_type)["content"] == "x"


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=UTF-8"])
@pytest.mark.parametrize("said", ["true", "True", "1"])
@pytest.mark.parametrize(
    "body", [b'{"ref": "refs/heads/main"}', b'{"content": "x"}', b"no JSON", b""]
)
def test_json_is_a_raw_body_if_the_query_says_so(with_queue, said, body, content_type):
    target = f"/queues/q/messages?raw={said}&priority=7"
    answer = with_queue("POST", target, body=body, content_type=content_type)
    message = with_queue("GET", answer.headers["location"]).json

    assert message["content"] == body.decode()
    assert (message["content_type"], message["priority"]) == (content_type, 7)


@pytest.mark.parametrize("said", ["false", "0"])
def test_a_body_that_the_query_does_not_call_raw_goes_by_its_content_type(with_queue, said):
    target = f"/queues/q/messages?raw={said}"
    for sent in ({"json": {"content": "x"}}, {"body": b"x", "content_type": "text/plain"}):
        answer = with_queue("POST", target, **sent)
        assert with_queue("GET", answer.headers["location"]).json["content"] == "x"


@pytest.mark.parametrize("query", ["raw=", "raw=yes", "raw=false&raw=true", "raw=true&raw=true"])
def test_a_query_that_does_not_say_clearly_what_is_raw_is_refused(refuse, in_use, query):
    for sent in ({"json": {"content": "x"}}, {"body": b"x", "content_type": "text/plain"}):
        refuse(in_use("POST", f"/queues/q/messages?{query}", **sent), ["raw"])


def test_the_same_dedup_key_answers_the_first_id(with_queue):
    first = with_queue("POST", "/queues/q/messages", json={"content": "a", "dedup_key": "k"}).json
    second = with_queue("POST", "/queues/q/messages", json={"content": "b", "dedup_key": "k"})

    assert second.status == 201
    assert second.json == {**first, "duplicate": True}
    assert with_queue("GET", "/queues/q").json["message_count"] == 1


@pytest.mark.parametrize(
    "request_",
    [{"json": {"content": "a"}}, {"body": b"a", "content_type": "text/plain"}],
    ids=["json", "raw"],
)
def test_an_idempotency_key_is_the_default_dedup_key(with_queue, request_):
    message = publish(with_queue, headers={"Idempotency-Key": '"k-1"'}, **request_)

    assert message["dedup_key"] == '"k-1"'


def test_a_dedup_key_goes_before_an_idempotency_key(with_queue):
    headers = {"Idempotency-Key": "header"}
    described = publish(with_queue, {"content": "a", "dedup_key": "own"}, headers=headers)
    answer = with_queue("POST", "/queues/q/messages?dedup_key=query", body=b"", headers=headers)

    assert described["dedup_key"] == "own"
    assert with_queue("GET", answer.headers["location"]).json["dedup_key"] == "query"


def test_a_batch_is_published_in_order(with_queue):
    with_queue.publish("0", dedup_key="k")
    messages = [{"content": "1"}, {"content": "2", "dedup_key": "k"}, {"content_base64": "/w=="}]

    answer = with_queue("POST", "/queues/q/messages/batch", json={"messages": messages})

    assert answer.status == 200
    assert answer.json == {
        "results": [
            {"message_id": 2, "duplicate": False},
            {"message_id": 1, "duplicate": True},
            {"message_id": 3, "duplicate": False},
        ]
    }


def test_a_batch_of_a_thousand_is_taken(with_queue):
    answer = with_queue(
        "POST", "/queues/q/messages/batch", json={"messages": [{"content": ""}] * 1000}
    )

    assert len(answer.json["results"]) == 1000


def test_a_batch_is_stored_whole_or_not_at_all(with_queue):
    with_queue("PATCH", "/queues/q", json={"max_messages": 2})

    answer = with_queue(
        "POST", "/queues/q/messages/batch", json={"messages": [{"content": ""}] * 3}
    )

    assert (answer.status, answer.json["code"]) == (429, "queue-full")
    assert answer.headers["retry-after"] == "1"
    assert with_queue("GET", "/queues/q").json["message_count"] == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [("", {"content": ""}), ("/batch", {"messages": [{"content": ""}]})],
)
def test_nothing_is_published_to_a_queue_that_is_not_there(call, path, body):
    answer = call("POST", f"/queues/absent/messages{path}", json=body)

    assert (answer.status, answer.json["code"]) == (404, "queue-not-found")


def test_browsing_shows_messages_by_id_and_changes_nothing(with_queue):
    for content in "abc":
        with_queue.publish(content)
    before = with_queue.queues()

    answer = with_queue("GET", "/queues/q/messages")

    assert [message["content"] for message in answer.json["messages"]] == ["a", "b", "c"]
    assert answer.json["after"] is None
    assert "link" not in answer.headers
    assert answer.json["messages"][0] == with_queue("GET", "/messages/1").json
    assert with_queue.queues() == before


def test_browsing_goes_on_where_the_page_ended(with_queue):
    for content in ("a1", "b", "a2", "a3"):
        with_queue.publish(content)

    first = with_queue("GET", "/queues/q/messages?limit=2&state=pending&q=a")
    link = first.headers["link"]
    second = with_queue("GET", link.partition("<")[2].partition(">")[0])

    assert [message["content"] for message in first.json["messages"]] == ["a1", "a2"]
    assert first.json["after"] == 3
    assert link == '</queues/q/messages?limit=2&after=3&state=pending&q=a>; rel="next"'
    assert [message["content"] for message in second.json["messages"]] == ["a3"]
    assert second.json["after"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=pending", ["pending", "scheduled"]),
        ("state=scheduled", ["scheduled"]),
        ("state=processing", ["processing"]),
        ("state=processed&state=failed", ["processed", "failed"]),
        ("state=processed,failed", ["processed", "failed"]),
        ("after=4", ["scheduled"]),
        ("after=0&limit=1", ["processed"]),
        ("q=nothing", []),
    ],
)
def test_browsing_shows_what_is_asked_for(with_queue, query, expected):
    for content in ("processed", "failed", "processing", "pending"):
        with_queue.publish(content)
    with_queue.publish("scheduled", delay=60)
    processed, failed, _ = with_queue.lease(limit=3)
    with_queue("POST", f"/messages/{processed['id']}/ack")
    with_queue("POST", f"/messages/{failed['id']}/nack")

    answer = with_queue("GET", f"/queues/q/messages?{query}")

    assert [message["content"] for message in answer.json["messages"]] == expected


def test_a_failed_message_tells_why_and_since_when(with_queue):
    message_id = with_queue.publish()
    with_queue.lease()
    with_queue.advance(1)
    with_queue("POST", f"/messages/{message_id}/nack", json={"reason": "no such order"})

    message = with_queue("GET", f"/messages/{message_id}").json

    assert (message["status"], message["reason"]) == ("failed", "no such order")
    assert message["first_delivered_at"] == "2023-11-14T22:13:20.000Z"
    assert message["finished_at"] == "2023-11-14T22:13:21.000Z"


def test_a_deleted_message_is_gone(with_queue):
    message_id = with_queue.publish()

    answer = with_queue("DELETE", f"/messages/{message_id}")

    assert (answer.status, answer.body) == (204, b"")
    assert with_queue("GET", f"/messages/{message_id}").status == 404
    assert with_queue("DELETE", f"/messages/{message_id}").status == 404


def test_the_largest_id_there_can_be_is_just_not_there(call):
    answer = call("GET", f"/messages/{2**63 - 1}")

    assert (answer.status, answer.json["code"]) == (404, "message-not-found")


def test_a_body_larger_than_the_queue_takes_is_413(with_queue):
    with_queue("PATCH", "/queues/q", json={"max_message_bytes": 3})

    assert with_queue("POST", "/queues/q/messages", json={"content": "abc"}).status == 201
    for answer in (
        with_queue("POST", "/queues/q/messages", json={"content": "abcd"}),
        with_queue("POST", "/queues/q/messages", body=b"abcd", content_type="text/plain"),
    ):
        assert (answer.status, answer.json["code"]) == (413, "too-large")


def test_an_idempotency_key_is_read_as_utf_8(with_queue):
    as_sent = "clé".encode().decode("latin-1")
    message = publish(with_queue, {"content": "a"}, headers={"Idempotency-Key": as_sent})

    assert message["dedup_key"] == "clé"
    again = with_queue("POST", "/queues/q/messages", json={"content": "b", "dedup_key": "clé"})
    assert again.json["duplicate"]


def test_an_idempotency_key_that_is_no_utf_8_is_refused(with_queue):
    answer = with_queue(
        "POST", "/queues/q/messages", json={"content": "a"}, headers={"Idempotency-Key": "\xff"}
    )

    assert (answer.status, answer.fields) == (422, ["Idempotency-Key"])
