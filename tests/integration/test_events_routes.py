"""What streams bring, over real servers: bodies of every kind, stats, one queue."""

import base64
import json

import httpx
import pytest
from event_stream import Parser
from httpx_sse import connect_sse
from served import HTTP_SERVERS, Served

BODIES = [
    b"",
    b"a\nb",
    b"a\rb",
    b"a\r\nb",
    b"\r\n\r\n",
    b"data: x\n\nid: 1\nevent: y\n\n",
    b"\0",
    "\u2028\u2029\x85\ufeff".encode(),
    b"\xff\xfe\r\n\0",
    b"x" * 300_000,
    bytes(range(256)) * 400,
]


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def served(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("served")
    served = Served(directory, plugins=["sse"], http_server=request.param)
    yield served
    assert served.end() == 0
    assert "Traceback" not in served.log()


@pytest.fixture
def client(served):
    with httpx.Client(base_url=served.url, timeout=60) as client:
        client.put("/queues/q", json={}).raise_for_status()
        yield client
        client.delete("/queues/q").raise_for_status()


def publish(client, body):
    headers = {"content-type": "application/octet-stream"}
    answer = client.post("/queues/q/messages", content=body, headers=headers)
    return answer.raise_for_status().json()["message_id"]


def test_bodies_with_every_kind_of_newline_arrive_whole(served, client):
    asked = {"queue": "q", "event": "message.published", "payload": 1}
    with connect_sse(client, "GET", "/events", params=asked) as source:
        events = (event for event in source.iter_sse() if event.data)
        assert next(events).event == "open"
        with httpx.Client(base_url=served.url) as writer:
            ids = [publish(writer, body) for body in BODIES]
        told = [json.loads(next(events).data) for _ in BODIES]

    assert [event["message_id"] for event in told] == ids
    assert [body_of(event) for event in told] == BODIES


def body_of(event):
    if "content_base64" in event:
        return base64.b64decode(event["content_base64"])
    return event["content"].encode()


def test_stats_come_again_and_again(client):
    asked = {"queue": "q", "event": "stats"}
    with connect_sse(client, "GET", "/events", params=asked) as source:
        events = (event for event in source.iter_sse() if event.data)
        opening, first, second = next(events), next(events), next(events)

    assert [event.event for event in (opening, first, second)] == ["open", "stats", "stats"]
    assert json.loads(first.data)["published_per_second"] is None
    assert json.loads(second.data)["published_per_second"] == 0


def test_a_stream_reads_the_same_to_the_specification(served, client):
    """What httpx-sse calls an event is not always one: an id alone, for one."""
    parser = Parser()
    with client.stream("GET", "/stream/q", headers={"last-event-id": "nonsense"}) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["cache-control"] == "no-store, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        pieces = response.iter_raw()
        with httpx.Client(base_url=served.url) as writer:
            number = publish(writer, b"x")
        text = b""
        while len(parser.events) < 3:
            text += next(pieces)
            whole, _, text = text.rpartition(b"\n\n")
            parser.feed(whole + b"\n\n")

    assert [event.name for event in parser.events] == ["system", "gap", "message"]
    assert parser.events[2].json["message_id"] == number
    assert 2_400 <= parser.retry <= 3_600
