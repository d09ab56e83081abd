"""What `/stats` tells, to whom: the fields of the earlier API, and more."""

from pathlib import Path

import pytest

from broker.builtin.rest.about_status import NUMBERS

OTHER = {"rates", "system", "totals"}
SYSTEM = {
    "python_version",
    "platform",
    "cpu_percent",
    "memory_percent",
    "memory_total_gb",
    "memory_used_gb",
    "memory_available_gb",
    "disk_usage",
    "process_cpu_percent",
    "process_memory_mb",
    "process_memory_rss_mb",
    "load_average",
    "cpu_count_logical",
    "open_file_descriptors",
    "thread_count",
}


def test_stats_count_queues_messages_and_requests(with_queue):
    call = with_queue
    for content in "abcd":
        call.publish(content)
    one, two, _ = call.lease(limit=3)
    call("POST", "/messages/settle", json={"ack": [one["receipt"]], "reject": [two["receipt"]]})
    call("GET", "/queues/nowhere")
    call("BREW", "/coffee")
    call.advance(90_061.5)

    stats = call("GET", "/stats").json

    assert {key: value for key, value in stats.items() if key not in OTHER} == {
        "start_time": "2023-11-14T22:13:20.000Z",
        "uptime_seconds": 90_061.5,
        "uptime_human": "1 day, 1:01:01",
        "requests_total": 9,
        "requests_by_route": {
            "/queues": {"POST": 1},
            "/queues/{queue}/messages": {"POST": 4},
            "/queues/{queue}/messages/lease": {"POST": 1},
            "/messages/settle": {"POST": 1},
            "/queues/{queue}": {"GET": 1},
            "unmatched": {"*": 1},
        },
        "requests_by_status": {"200": 2, "201": 5, "404": 2},
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
            "framework": "quart",
            "version": "0.1.0",
            "db_engine": "memory",
            "auth_method": None,
            "notification": None,
            "rate_limit": None,
            "graphql": None,
            "capabilities": ["dedup", "groups", "priority", "search"],
        },
        "plugins": [
            {"name": name, "version": "0.1.0"}
            for name in ("memory", "rest", "log", "openapi", "scopes")
        ],
    }
    assert stats["totals"]["published"] == 4
    assert set(stats["system"]) == SYSTEM


def test_the_example_in_the_documentation_looks_like_the_answer(call):
    stats = call("GET", "/stats").json

    assert NUMBERS.keys() == stats.keys()
    assert NUMBERS["system"].keys() == stats["system"].keys()
    assert NUMBERS["broker_specific"].keys() == stats["broker_specific"].keys()
    for told in (NUMBERS, stats):
        assert all(Path(mounted).is_absolute() for mounted in told["system"]["disk_usage"])


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
    monkeypatch.setattr("broker.operations.paging.PAGE", 2)
    for name in "abcde":
        call("POST", "/queues", json={"name": name})

    assert call("GET", "/stats").json["queues_total"] == 5


def test_stats_name_the_plugin_that_does_each_work(serve):
    call = serve(plugins=["auth_jwt", "ratelimit", "sse"], anonymous=True)

    told = call("GET", "/stats").json["broker_specific"]

    assert {key: told[key] for key in ("auth_method", "notification", "rate_limit", "graphql")} == {
        "auth_method": "auth_jwt",
        "notification": "sse",
        "rate_limit": "ratelimit",
        "graphql": None,
    }


@pytest.mark.parametrize("queues", [[], ["q"]])
def test_stats_of_a_broker_that_is_idle_tell_that_nothing_happens(call, queues):
    for name in queues:
        call("POST", "/queues", json={"name": name})
    call.advance(0)  # there is a first sample
    for _ in range(2):
        call.advance(10)

    answer = call("GET", "/stats")

    assert answer.status == 200
    assert answer.json["rates"]["fifteen_minutes"] == {
        "requests_per_second": len(queues) / 20,
        "published_per_second": 0.0,
        "delivered_per_second": 0.0,
        "acked_per_second": 0.0,
        "failed_per_second": 0.0,
    }


def test_stats_tell_how_fast_it_goes(with_queue):
    call = with_queue
    call.advance(0)  # there is a first sample
    assert call("GET", "/stats").json["rates"] == {
        "one_minute": None,
        "five_minutes": None,
        "fifteen_minutes": None,
    }
    for content in "abcdefghij":
        call.publish(content)
    [one, two] = call.lease(limit=2)
    call("POST", "/messages/settle", json={"ack": [one["receipt"]], "reject": [two["receipt"]]})

    call.advance(10)

    rate = {
        "requests_per_second": 1.4,
        "published_per_second": 1.0,
        "delivered_per_second": 0.2,
        "acked_per_second": 0.1,
        "failed_per_second": 0.1,
    }
    assert call("GET", "/stats").json["rates"] == {
        "one_minute": rate,
        "five_minutes": rate,
        "fifteen_minutes": rate,
    }
