"""Streams of messages over real connections, with both HTTP servers: what breaks loses nothing."""

import json
import random
import socket
import struct

import httpx
import pytest
from httpx_sse import connect_sse
from raw import connect
from served import HTTP_SERVERS, Served

CUTS = 200
RESET = struct.pack("ii", 1, 0)
LEASE = "lease_seconds=3600"
"""So long that nothing comes back by itself while a test runs."""


@pytest.fixture(params=HTTP_SERVERS)
def served(request, tmp_path):
    served = Served(tmp_path, http_server=request.param)
    yield served
    served.end()


@pytest.fixture
def client(served):
    with httpx.Client(base_url=served.url, timeout=30) as client:
        client.post("/queues", json={"name": "q"}).raise_for_status()
        yield client


def publish(client, count, body="x"):
    messages = [{"content": f"{body} {n}"} for n in range(count)]
    answer = client.post("/queues/q/messages/batch", json={"messages": messages})
    return [result["message_id"] for result in answer.raise_for_status().json()["results"]]


def ack(client, messages):
    body = {"ack": [message["receipt"] for message in messages]}
    results = client.post("/messages/settle", json=body).raise_for_status().json()["results"]
    return [result["outcome"] for result in results]


def counts(client):
    return client.get("/queues/q").json()["counts"]


def test_events_are_what_a_client_of_them_reads(client):
    ids = publish(client, 50)
    seen, unsettled = [], []
    with connect_sse(client, "GET", f"/queues/q/messages/stream?prefetch=7&{LEASE}") as source:
        for event in source.iter_sse():
            assert event.event == "message"
            unsettled.append(event.json())
            assert counts(client)["processing"] <= 7
            if len(unsettled) == 7 or len(seen) + len(unsettled) == 50:
                seen += [message["id"] for message in unsettled]
                assert set(ack(client, unsettled)) == {"ok"}
                unsettled.clear()
            if len(seen) == 50:
                break

    assert seen == ids
    assert counts(client) == {
        **dict.fromkeys(("pending", "processing", "failed", "scheduled"), 0),
        "processed": 50,
    }


def test_lines_come_as_they_are_published(client):
    headers = {"accept": "application/x-ndjson"}
    seen = []
    with client.stream("GET", f"/queues/q/messages/stream?{LEASE}", headers=headers) as answer:
        lines = filter(None, answer.iter_lines())
        for n in range(20):
            publish(client, 1, body=f"number {n}:")
            seen.append(json.loads(next(lines)))
            assert ack(client, [seen[-1]]) == ["ok"]

    assert [message["content"] for message in seen] == [f"number {n}: 0" for n in range(20)]


def test_a_message_is_one_line_whatever_newlines_are_in_it(client):
    """Also to clients to which a line ends where Unicode says so, as httpx does."""
    contents = ["a\nb", "\r\n", "a\rb", "\x0b\x0c\x1c\x1d\x1e", "a\x85b", "\u2028\u2029"]
    body = {"messages": [{"content": content} for content in contents]}
    client.post("/queues/q/messages/batch", json=body).raise_for_status()
    headers = {"accept": "application/x-ndjson"}
    with client.stream("GET", f"/queues/q/messages/stream?{LEASE}", headers=headers) as answer:
        lines = filter(None, answer.iter_lines())
        seen = [json.loads(next(lines)) for _ in contents]

    assert [message["content"] for message in seen] == contents


def cut(served, client, chance):
    """Stream, perhaps settle some, and break the connection; return the ids that are settled."""
    settled = []
    prefetch = chance.randint(1, 30)
    most_bytes = chance.choice([0, 1, 500, chance.randint(1, 30_000)])
    with connect(served) as connection:
        connection.sendall(
            f"GET /queues/q/messages/stream?prefetch={prefetch}&{LEASE} HTTP/1.1\r\n"
            "host: b\r\naccept: application/x-ndjson\r\n\r\n".encode()
        )
        answer, unsettled = b"", []
        while len(answer) < most_bytes and len(unsettled) < prefetch:
            answer += connection.recv(chance.randint(1, 9_000))
            unsettled = [one for one in messages_in(answer) if one["id"] not in settled]
            if chance.random() < 0.5:
                chosen = chance.sample(unsettled, chance.randint(0, len(unsettled)))
                assert set(ack(client, chosen)) <= {"ok"}
                settled += [message["id"] for message in chosen]
        if chance.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    return settled


def messages_in(answer):
    """The messages that are there whole, whatever the chunks in which they came."""
    for chunk in answer.split(b"\r\n")[1:]:
        *whole, _ = chunk.split(b"\n")
        yield from (json.loads(line) for line in whole if line.startswith(b'{"id"'))


def test_connections_that_break_anywhere_lose_nothing_and_keep_nothing(served, client):
    chance = random.Random(6)
    ids = [*publish(client, 1000), *publish(client, 1000)]
    settled = []
    for _ in range(CUTS):
        settled += cut(served, client, chance)
    assert len(settled) == len(set(settled)) > 100

    left = []
    while len(left) + len(settled) < 2000:
        body = {"limit": 100, "wait": 20, "lease_seconds": 3600}
        found = client.post("/queues/q/messages/lease", json=body).json()["messages"]
        assert found, "some are still leased to nobody"
        left += found

    assert sorted(message["id"] for message in left) == sorted(set(ids) - set(settled))
    assert {message["delivery_count"] for message in left} == {1}
    now = counts(client)
    assert (now["pending"], now["processing"], now["processed"]) == (0, len(left), len(settled))
