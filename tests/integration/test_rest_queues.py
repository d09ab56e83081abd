"""Queues: making, listing, changing, emptying, deleting them."""

import pytest

POLICY = {
    "lease_seconds": 30,
    "max_deliveries": 10,
    "retry_base": 0,
    "retry_max": 600,
    "jitter": 0.2,
    "dead_letter_queue": None,
    "dedup_window": 300,
    "default_delay": 0,
    "default_ttl": None,
    "max_messages": None,
    "max_bytes": None,
    "overflow": "reject",
    "max_in_flight": None,
    "max_message_bytes": 1024 * 1024,
    "retain_processed": 24 * 3600,
    "retain_failed": 14 * 24 * 3600,
    "ordering": "priority",
    "paused": False,
}


def names(answer):
    return [queue["name"] for queue in answer.json]


def test_a_new_queue_is_shown_whole(call):
    answer = call("POST", "/queues", json={"name": "orders", "lease_seconds": 5, "jitter": 0})

    assert answer.status == 201
    assert (answer.headers["location"], answer.headers["etag"]) == ("/queues/orders", '"v1"')
    assert answer.json == {
        "id": 1,
        "name": "orders",
        "created_at": "2023-11-14T22:13:20.000Z",
        "updated_at": "2023-11-14T22:13:20.000Z",
        "version": 1,
        "paused": False,
        "message_count": 0,
        "policy": {**POLICY, "lease_seconds": 5, "jitter": 0},
        "counts": {"pending": 0, "scheduled": 0, "processing": 0, "processed": 0, "failed": 0},
        "totals": dict.fromkeys(answer.json["totals"], 0),
        "bytes": 0,
        "oldest_at": None,
    }
    again = call("GET", answer.headers["location"])
    assert (again.status, again.headers["etag"], again.json) == (200, '"v1"', answer.json)


def test_links_stay_under_the_prefix_of_the_request(call):
    answer = call("POST", "/v1/queues", json={"name": "q"})

    assert answer.headers["location"] == "/v1/queues/q"
    link = call("GET", "/v1/queues?limit=1").headers["link"]
    assert link == '</v1/queues?limit=1&after=q>; rel="next"'


def test_a_queue_tells_what_it_holds(with_queue):
    call = with_queue
    for content in ("one", "two", "three", "four", "five"):
        call.publish(content)
    call.publish("later", delay=60)
    call.advance(1)
    acked, rejected, _ = call.lease(limit=3)
    call(
        "POST",
        "/messages/settle",
        json={"ack": [acked["receipt"]], "reject": [rejected["receipt"]]},
    )

    queue = call("GET", "/queues/q").json

    assert queue["message_count"] == 6
    assert queue["counts"] == {
        "pending": 3,
        "scheduled": 1,
        "processing": 1,
        "processed": 1,
        "failed": 1,
    }
    assert queue["bytes"] == len("onetwothreefourfivelater")
    assert queue["oldest_at"] == "2023-11-14T22:13:20.000Z"
    assert (queue["totals"]["published"], queue["totals"]["delivered"]) == (6, 3)


def test_the_list_of_queues_is_a_bare_array_by_name(call):
    for name in ("b", "a", "c"):
        call("POST", "/queues", json={"name": name})

    answer = call("GET", "/queues")

    assert names(answer) == ["a", "b", "c"]
    assert answer.json[0] == call("GET", "/queues/a").json
    assert "link" not in answer.headers


def test_a_full_page_links_to_the_next_with_the_same_options(call):
    for name in ("x.1", "x.2", "x.3", "y"):
        call("POST", "/queues", json={"name": name})

    first = call("GET", "/queues?prefix=x&limit=2")
    second = call("GET", first.headers["link"].partition("<")[2].partition(">")[0])

    assert names(first) == ["x.1", "x.2"]
    assert first.headers["link"] == '</queues?limit=2&after=x.2&prefix=x>; rel="next"'
    assert names(second) == ["x.3"]
    assert "link" not in second.headers


def test_a_queue_cannot_be_made_twice(with_queue):
    answer = with_queue("POST", "/queues", json={"name": "q"})

    assert (answer.status, answer.json["code"]) == (409, "queue-exists")


def test_put_makes_a_queue_and_then_replaces_its_whole_policy(call):
    made = call("PUT", "/queues/q", json={"lease_seconds": 5, "max_in_flight": 3})
    replaced = call("PUT", "/queues/q", json={"max_in_flight": 4})

    assert (made.status, made.headers["location"]) == (201, "/queues/q")
    assert made.json["policy"] == {**POLICY, "lease_seconds": 5, "max_in_flight": 3}
    assert (replaced.status, replaced.headers["etag"]) == (200, '"v2"')
    assert "location" not in replaced.headers
    assert replaced.json["policy"] == {**POLICY, "max_in_flight": 4}


def test_patch_changes_the_given_fields_alone(call):
    call("PUT", "/queues/q", json={"lease_seconds": 5, "max_deliveries": 3})

    answer = call("PATCH", "/queues/q", json={"max_deliveries": None, "default_ttl": 2.5})

    assert (answer.status, answer.headers["etag"]) == (200, '"v2"')
    assert answer.json["policy"] == {
        **POLICY,
        "lease_seconds": 5,
        "max_deliveries": None,
        "default_ttl": 2.5,
    }


def test_a_changed_queue_still_shows_what_it_holds(with_queue):
    with_queue.publish()

    for method in ("PUT", "PATCH"):
        answer = with_queue(method, "/queues/q", json={"lease_seconds": 5})
        assert answer.json == with_queue("GET", "/queues/q").json
        assert answer.json["message_count"] == 1


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_with_the_current_etag_is_made(with_queue, method):
    etag = with_queue("GET", "/queues/q").headers["etag"]

    answer = with_queue(method, "/queues/q", json={"lease_seconds": 5}, headers={"If-Match": etag})

    assert (answer.status, answer.headers["etag"]) == (200, '"v2"')


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    "condition",
    [
        '"v2"',  # a version that is not there yet
        '"v999999999999999999"',
        '"v99999999999999999999"',
        'W/"v1"',  # weak, which never matches
        "v1",
        '"v1", "v2"',
        '"v01"',
        "",
    ],
)
def test_a_change_on_another_condition_is_refused(with_queue, method, condition):
    answer = with_queue(
        method, "/queues/q", json={"lease_seconds": 5}, headers={"If-Match": condition}
    )

    assert (answer.status, answer.json["code"]) == (412, "version-mismatch")
    assert with_queue("GET", "/queues/q").json["policy"] == POLICY


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_of_whatever_version_needs_a_queue(with_queue, method):
    there = with_queue(method, "/queues/q", json={}, headers={"If-Match": "*"})
    absent = with_queue(method, "/queues/absent", json={}, headers={"If-Match": "*"})

    assert there.status == 200
    assert absent.status == {"PUT": 412, "PATCH": 404}[method]
    assert names(with_queue("GET", "/queues")) == ["q"]


def test_a_put_of_a_version_does_not_make_a_queue(call):
    answer = call("PUT", "/queues/q", json={}, headers={"If-Match": '"v1"'})

    assert answer.status == 412
    assert call.queues() == []


def test_a_put_can_demand_that_the_queue_is_new(call):
    condition = {"If-None-Match": "*"}

    assert call("PUT", "/queues/q", json={}, headers=condition).status == 201
    assert call("PUT", "/queues/q", json={}, headers=condition).status == 412
    both = {"If-None-Match": "*", "If-Match": '"v1"'}
    assert call("PUT", "/queues/p", json={}, headers=both).status == 412
    assert names(call("GET", "/queues")) == ["q"]


def test_a_put_takes_no_other_if_none_match(call):
    answer = call("PUT", "/queues/q", json={"x": 1}, headers={"If-None-Match": '"v1"'})

    assert (answer.status, answer.fields) == (422, ["x", "If-None-Match"])


def test_a_deleted_queue_is_gone_with_its_messages(with_queue):
    message_id = with_queue.publish()

    answer = with_queue("DELETE", "/queues/q")

    assert (answer.status, answer.body) == (204, b"")
    assert with_queue("GET", "/queues/q").status == 404
    assert with_queue("GET", f"/messages/{message_id}").status == 404
    assert with_queue("DELETE", "/queues/q").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/purge"),
        ("POST", "/redrive"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/messages/lease"),
        ("GET", "/messages/consume"),
        ("GET", "/messages"),
    ],
)
def test_a_queue_that_is_not_there_is_404(call, method, path):
    json = {} if method in {"PATCH", "POST"} else None

    answer = call(method, f"/queues/absent{path}", json=json)

    assert (answer.status, answer.json["code"]) == (404, "queue-not-found")


def test_purge_removes_pending_messages_unless_told_otherwise(with_queue):
    call = with_queue
    for _ in range(3):
        call.publish()
    call.publish(delay=60)
    [leased] = call.lease()
    call("POST", f"/messages/{leased['id']}/nack")

    assert call("POST", "/queues/q/purge").json == {"count": 3}
    assert call("GET", "/queues/q").json["counts"]["failed"] == 1
    states = {"states": ["failed", "processed", "failed"]}
    assert call("POST", "/queues/q/purge", json=states).json == {"count": 1}
    assert call("GET", "/queues/q").json["message_count"] == 0


def test_purge_may_take_only_what_was_finished_long_ago(with_queue):
    call = with_queue
    for _ in range(2):
        call.publish()
        [leased] = call.lease()
        call("POST", f"/messages/{leased['id']}/nack")
        call.advance(3600)

    old = {"states": ["failed", "processed"], "older_than": 3600.5}
    assert call("POST", "/queues/q/purge", json=old).json == {"count": 1}
    assert [found["id"] for found in call("GET", "/queues/q/messages").json["messages"]] == [
        leased["id"]
    ]
    assert call("POST", "/queues/q/purge", json={**old, "older_than": 3599}).json == {"count": 1}


@pytest.mark.parametrize("states", [["pending"], ["failed", "processing"], ["scheduled"]])
def test_purge_by_age_is_for_what_has_ended(in_use, refuse, states):
    body = {"states": states, "older_than": 60}
    answer = in_use("POST", "/queues/q/purge", json=body)

    refuse(answer, ["older_than"])
    assert answer.json["detail"] == (
        'older_than: only messages in the states "processed" and "failed" have ended; name no other'
    )


def test_redrive_brings_failed_messages_back(with_queue):
    message_id = with_queue.publish()
    with_queue.lease()
    with_queue("POST", f"/messages/{message_id}/nack")

    assert with_queue("POST", "/queues/q/redrive").json == {"count": 1}
    assert [message["delivery_count"] for message in with_queue.lease()] == [1]


def test_a_paused_queue_takes_messages_and_gives_none(with_queue):
    call = with_queue

    assert call("POST", "/queues/q/pause").json == {"count": 1}
    assert call("POST", "/queues/q/pause").json == {"count": 0}
    call.publish()
    leased = call("POST", "/queues/q/messages/lease").json
    queue = call("GET", "/queues/q").json

    assert leased == {"messages": [], "paused": True}
    assert (queue["paused"], queue["policy"]["paused"], queue["version"]) == (True, True, 2)
    assert call("GET", "/queues/q/messages/consume").status == 204
    assert call("POST", "/queues/q/resume").json == {"count": 1}
    assert call("POST", "/queues/q/resume", json={}).json == {"count": 0}
    assert len(call.lease()) == 1


def test_a_queue_whose_dead_letter_queue_is_gone_can_still_be_paused(with_queue):
    call = with_queue
    call("POST", "/queues", json={"name": "dead"})
    call("PATCH", "/queues/q", json={"dead_letter_queue": "dead"})
    call("DELETE", "/queues/dead")

    assert call("POST", "/queues/q/pause").json == {"count": 1}


@pytest.mark.parametrize(("target", "problem"), [("q", "own"), ("absent", "no such queue")])
def test_a_dead_letter_queue_must_be_another_that_is_there(with_queue, target, problem):
    answer = with_queue("PATCH", "/queues/q", json={"dead_letter_queue": target})

    assert (answer.status, answer.fields) == (422, ["dead_letter_queue"])
    assert problem in answer.json["detail"]


def test_a_queue_is_deleted_only_as_the_one_that_was_seen(with_queue):
    refused = with_queue("DELETE", "/queues/q", headers={"If-Match": '"v9"'})
    nonsense = with_queue("DELETE", "/queues/q", headers={"If-Match": "v1"})
    there = with_queue("GET", "/queues/q")
    deleted = with_queue("DELETE", "/queues/q", headers={"If-Match": there.headers["etag"]})

    assert [a.status for a in (refused, nonsense, there, deleted)] == [412, 412, 200, 204]
