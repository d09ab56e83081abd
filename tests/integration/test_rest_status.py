"""How the broker is: liveness, readiness, numbers."""

import pytest

ROUTES = [
    ("GET", "/"),
    ("GET", "/stats"),
    ("GET", "/queues"),
    ("POST", "/queues"),
    ("GET", "/queues/q"),
    ("PUT", "/queues/q"),
    ("PATCH", "/queues/q"),
    ("DELETE", "/queues/q"),
    ("POST", "/queues/q/messages"),
    ("POST", "/queues/q/messages/batch"),
    ("POST", "/queues/q/messages/lease"),
    ("GET", "/queues/q/messages/consume"),
    ("GET", "/queues/q/messages"),
    ("POST", "/queues/q/purge"),
    ("POST", "/queues/q/redrive"),
    ("POST", "/queues/q/pause"),
    ("POST", "/queues/q/resume"),
    ("POST", "/messages/settle"),
    ("POST", "/messages/1/ack"),
    ("POST", "/messages/1/nack"),
    ("POST", "/messages/1/extend"),
    ("POST", "/messages/1/release"),
    ("GET", "/messages/1"),
    ("DELETE", "/messages/1"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
]
OPEN = {"/", "/healthz", "/readyz"}


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_is_there_at_the_root_and_under_v1(serve, method, path, prefix):
    call = serve(anonymous=False)

    status = call(method, f"{prefix}{path}".rstrip("/") or "/").status

    # Whoever is not known gets 401 from a route that exists, and 404 or 405 from any other.
    assert status == (200 if path in OPEN else 401)


def test_the_index_says_what_answers_here(call):
    assert call("GET", "/").json == {
        "name": "Replika Broker",
        "status": "running",
        "version": "0.1.0",
        "timestamp": "2023-11-14T22:13:20.000Z",
    }


def test_a_broker_that_lives_says_so(call):
    assert call("GET", "/healthz").json == {"status": "ok"}


def test_a_broker_whose_parts_work_is_ready(call):
    assert call("GET", "/readyz").json == {"status": "ready"}


def test_a_broker_that_is_about_to_drain_serves_but_says_to_ask_others(call):
    call.broker.retire()

    assert call("GET", "/readyz").status == 503
    answer = call("POST", "/queues", json={"name": "q"})
    assert (answer.status, answer.headers["connection"]) == (201, "close")


def test_a_draining_broker_is_alive_but_not_ready(call):
    call.broker.drain()

    answer = call("GET", "/readyz")

    assert (answer.status, answer.json["detail"]) == (503, "draining")
    assert answer.headers["retry-after"] == "1"
    assert call("GET", "/healthz").status == 200
    assert call("GET", "/").json["status"] == "draining"


def test_a_broken_part_is_named_without_its_secrets(call, monkeypatch):
    async def broken():
        raise OSError("postgres://user:secret@host")

    _, storage = call.assembly.providers.storage
    monkeypatch.setattr(storage, "ping", broken)

    answer = call("GET", "/readyz")

    assert (answer.status, answer.json["detail"]) == (503, 'not working now: "memory"')


def test_stats_count_queues_messages_and_requests(with_queue):
    call = with_queue
    for content in "abcd":
        call.publish(content)
    one, two, _ = call.lease(limit=3)
    call("POST", "/messages/settle", json={"ack": [one["receipt"]], "reject": [two["receipt"]]})
    call("GET", "/queues/nowhere")
    call.advance(90_061.5)

    stats = call("GET", "/stats").json

    assert {key: value for key, value in stats.items() if key not in {"system", "totals"}} == {
        "start_time": "2023-11-14T22:13:20.000Z",
        "uptime_seconds": 90_061.5,
        "uptime_human": "1 day, 1:01:01",
        "requests_total": 8,
        "requests_by_route": {
            "POST /queues": 1,
            "POST /queues/{queue}/messages": 4,
            "POST /queues/{queue}/messages/lease": 1,
            "POST /messages/settle": 1,
            "GET /queues/{queue}": 1,
        },
        "requests_by_status": {"200": 2, "201": 5, "404": 1},
        "queues_total": 1,
        "messages_total": 4,
        "messages_pending": 2,
        "messages_processing": 0,
        "messages_processed": 1,
        "messages_failed": 1,
        "last_error": None,
        "last_error_timestamp": None,
        "counts": {"pending": 2, "processing": 0, "processed": 0, "failed": 1, "scheduled": 0},
        "broker_specific": {
            "storage": "memory",
            "capabilities": ["dedup", "groups", "priority", "search"],
            "plugins": stats["plugins"],
        },
        "plugins": [
            {"name": name, "version": "0.1.0"} for name in ("memory", "rest", "log", "scopes")
        ],
    }
    assert stats["totals"]["published"] == 4
    assert set(stats["system"]) >= {
        "python_version",
        "platform",
        "cpu_count",
        "load_average",
        "process_memory_bytes",
        "disk_free_bytes",
    }


def test_stats_tell_the_newest_unexpected_error(call, monkeypatch):
    async def broken(**_):
        raise KeyError("oops")

    _, storage = call.assembly.providers.storage
    with monkeypatch.context() as patch:
        patch.setattr(storage, "get_queues", broken)
        answer = call("GET", "/queues")

    stats = call("GET", "/stats").json

    assert (answer.status, answer.json["code"]) == (500, "internal")
    assert (stats["last_error"], stats["last_error_timestamp"]) == (
        "KeyError",
        "2023-11-14T22:13:20.000Z",
    )


def test_stats_of_more_queues_than_a_page_holds_them_all(call, monkeypatch):
    monkeypatch.setattr("broker.operations.queues.LIST_LIMIT", 2)
    for name in "abcde":
        call("POST", "/queues", json={"name": name})

    assert call("GET", "/stats").json["queues_total"] == 5


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_a_probe_may_carry_whatever_its_prober_adds(call, path):
    assert call("GET", f"{path}?t=1&t=2", body=b"x").status == 200
