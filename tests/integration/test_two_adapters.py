"""Quart alone and fastpath in front of it answer alike, to the byte."""

import json
import re
from collections import Counter

import pytest
from quart import Quart

MIB = 1024 * 1024
JSON = {"content-type": "application/json"}
HOT = [
    ("POST", "/queues/q/messages"),
    ("POST", "/queues/q/messages/batch"),
    ("POST", "/queues/q/messages/lease"),
    ("GET", "/queues/q/messages/consume"),
    ("POST", "/messages/settle"),
    ("POST", "/messages/1/ack"),
    ("POST", "/messages/1/nack"),
]
BODIES = [
    b"",
    b"{}",
    b"{",
    b"[]",
    b"null",
    b"\xff",
    b'{"content": 1}',
    b'{"content": "a", "unknown": 1}',
    b'{"messages": []}',
    b'{"limit": 0, "wait": -1}',
    b'{"receipt": "none"}',
]
METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "POST", "post", "TRACE"]
TARGETS = [
    "//queues/q/messages",
    "/queues//messages",
    "/queues/q/messages/",
    "/queues/q//messages",
    "/queues/q/messages//lease",
    "/v1",
    "/v1/queues/q/messages",
    "/v1/v1/queues/q/messages",
    "/V1/queues/q/messages",
    "/queues/%71/messages",
    "/queues/q%2Fmessages",
    "/queues/a%20b/messages",
    "/queues/%ff/messages",
    "/queues/a%00b/messages",
    "/queues/a%0Ab/messages",
    "/queues/q%3F/messages",
    "/queues/{queue}/messages",
    "/queues/%C3%BC/messages",
    "/queues/../messages",
    "/queues/./messages",
    "/queues/q/messages/settle",
    "/queues/missing/messages",
    "/messages/settle/ack",
    "/messages/settle/settle",
    "/messages//ack",
    "/messages/0/ack",
    "/messages/-1/nack",
    "/messages/x/nack",
    "/messages/99999999999999999999/ack",
    "/messages/%31/ack",
    "/messages/1/ack/",
    "/messages/1/ackk",
    "/queues/" + "a" * 9_000 + "/messages",
]
QUERIES = [
    "?",
    "?unknown=1",
    "?wait=0",
    "?wait=x",
    "?wait=%ff",
    "?wait=0&wait=0",
    "?wait",
    "?wait=&lease_seconds=",
    "?lease_seconds=30",
    "?requeue=true",
    "?requeue=%74rue",
    "?requeue=maybe",
    "?a+b=c%20d",
    "?%",
]


def request(method, target, body=b"", **headers):
    return method, target, body, {name.replace("_", "-"): text for name, text in headers.items()}


REQUESTS = [
    *((method, target, body, JSON) for method, target in HOT for body in BODIES),
    *((method, "/v1" + target, b"{}", JSON) for method, target in HOT),
    *(request(method, "/queues/q/messages/consume") for method in METHODS),
    *((method, "/queues/q/messages", b'{"content": "x"}', JSON) for method in METHODS),
    *(("POST", target, b'{"content": "x"}', JSON) for target in TARGETS),
    *(request("GET", "/queues/q/messages/consume" + query) for query in QUERIES),
    *(request("POST", "/messages/3/nack" + query) for query in QUERIES),
    ("POST", "/queues/q/messages", [b'{"cont', b"", b'ent": "x"}'], JSON),
    ("POST", "/queues/q/messages", [], JSON),
    ("POST", "/queues/q/messages", [b"x" * MIB] * 17, JSON),
    ("POST", "/queues/q/messages", b"x" * (16 * MIB + 1), JSON),
    ("POST", "/queues/q/messages/batch", b" " * 16 * MIB, JSON),
    ("GET", "/queues/q/messages/consume", [b"x" * MIB] * 17, {}),
    ("GET", "/queues/q/messages/consume", b"ignored", {}),
    request("POST", "/queues/q/messages", b"raw"),
    request("POST", "/queues/q/messages", b"raw \xff", content_type="text/plain; charset=latin1"),
    request("POST", "/queues/q/messages", b"{}", content_type="application/json; charset=utf-8"),
    request("POST", "/queues/q/messages", b"{}", content_type="APPLICATION/JSON"),
    request("POST", "/queues/q/messages", b"1", content_type=""),
    request("POST", "/queues/q/messages", b"1", idempotency_key="k"),
    request("POST", "/queues/q/messages", b"1", idempotency_key="k"),
    request("POST", "/queues/q/messages", b"1", authorization="Bearer nobody"),
    request("POST", "/queues/q/messages", b"1", authorization="Basic"),
    request("POST", "/queues/q/messages", b"1", content_length="0"),
    request("POST", "/queues/q/messages", b"1", content_length="-5"),
    request("POST", "/queues/q/messages", b"1", content_length="1e3"),
    request("POST", "/queues/q/messages", b"1", content_length="99999999999"),
    request("POST", "/queues/q/messages", [b"1"], content_length="99999999999"),
    request("POST", "/queues/q/messages", b"1", expect="100-continue"),
    request("POST", "/queues/q/messages", b"1", host="stranger.test:99"),
    request("POST", "/queues/q/messages", b"1", host="no host"),
    request("POST", "/queues/q/messages", b"1", x_http_method_override="DELETE"),
    *(
        request(method, target, b"", x_request_id=text)
        for method, target in (("GET", "/queues/q/messages/consume"), ("POST", "/nowhere"))
        for text in ("mine-1", "", "two words", "x" * 129, "é")
    ),
    request("GET", "/healthz"),
    request("GET", "/queues/q"),
]


@pytest.fixture
def both(serve_with):
    """The same broker twice, once behind each adapter."""
    servers = [serve_with("quart", anonymous=True), serve_with("fastpath", anonymous=True)]
    for server in servers:
        server("POST", "/queues", json={"name": "q", "max_deliveries": 1_000})
        for content in ("first", "second", "third"):
            server.publish(content)
        server.lease(limit=3)
    return servers


def comparable(answer):
    """Return an answer without what no two servers have in common."""
    headers = list(answer.headers.items())
    body = re.sub(rb'"receipt":"[^"]+"', b'"receipt":""', answer.body)
    made_up = answer.headers["x-request-id"]
    if re.fullmatch("[0-9a-f]{12}-[0-9a-f]+", made_up):
        headers.remove(("x-request-id", made_up))
        body = body.replace(made_up.encode(), b"")
        size = answer.headers.get("content-length")
        headers = [(name, "" if text == size else text) for name, text in headers]
    return answer.status, headers, body


def test_every_answer_is_the_same(both):
    statuses = set()
    for method, target, body, headers in REQUESTS:
        told = (method, target[:80], str(body)[:80], headers)
        one, other = (server(method, target, body=body, headers=headers) for server in both)
        assert comparable(one) == comparable(other), told
        statuses.add(one.status)

    assert statuses >= {200, 201, 204, 400, 401, 404, 405, 409, 413, 422}
    assert 500 not in statuses
    assert len(REQUESTS) > 150


def timed(broker):
    """How many answers were timed, by route and status."""
    durations = broker.served.durations.read().items()
    return {labels: sum(found.counts) for labels, found in durations}


def test_every_answer_is_counted_alike(both):
    before = [server.broker.served.requests().total() for server in both]
    for method, target, body, headers in REQUESTS:
        for server in both:
            server(method, target, body=body, headers=headers)
    one, other = both

    assert one.broker.served.requests() == other.broker.served.requests()
    assert one.broker.served.requests().total() - before[0] == len(REQUESTS)
    assert timed(one.broker) == timed(other.broker)
    refused = one.broker.served.requests() - Counter(timed(one.broker))
    assert {status for _, _, status in refused} == {"404", "405", "413"}
    assert one.queues() == other.queues()


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_hot_routes_do_not_reach_quart(serve_with, monkeypatch, prefix):
    server = serve_with("fastpath", anonymous=True)
    server("POST", "/queues", json={"name": "q"})

    reached = []

    async def fail(*_):
        reached.append("Quart")
        raise AssertionError

    monkeypatch.setattr(Quart, "handle_request", fail)
    message = {"content": "x"}
    path = f"{prefix}/queues/q/messages"
    assert server("POST", path, json=message).status == 201
    assert server("POST", f"{path}/batch", json={"messages": [message] * 3}).status == 200
    [leased] = server("POST", f"{path}/lease", json={}).json["messages"]
    settled = server("POST", f"{prefix}/messages/settle", json={"ack": [leased["receipt"]]})
    assert settled.json["results"][0]["outcome"] == "ok"
    for outcome in ("ack", "nack"):
        consumed = server("GET", f"{path}/consume").json
        answer = server("POST", f"{prefix}/messages/{consumed['id']}/{outcome}")
        assert answer.status == 200
    assert server("POST", f"{path}?bad=query", body=b"x").status == 422
    assert reached == []
    server("GET", path)
    assert reached == ["Quart"]
