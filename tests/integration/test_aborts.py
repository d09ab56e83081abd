"""Clients that go away at any byte leave nothing behind."""

import json
import os
import random
import socket
import struct
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from served import HTTP_SERVERS, Served

ABORTS = 1_000


@pytest.fixture(params=HTTP_SERVERS)
def served(request, tmp_path):
    served = Served(tmp_path, http_server=request.param)
    yield served
    served.end()


def request(method, path, body=None):
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nhost: b\r\ncontent-length: {len(content)}\r\n"
    if body is not None:
        head += "content-type: application/json\r\n"
    return head.encode() + b"\r\n" + content


REQUESTS = [
    request("POST", "/queues/q/messages", {"content": "x" * 200}),
    request("POST", "/queues/q/messages/batch", {"messages": [{"content": "x"}] * 20}),
    request("POST", "/queues/q/messages/lease", {"limit": 10}),
    request("POST", "/queues/empty/messages/lease", {"limit": 10, "wait": 20}),
    request("GET", "/queues/q/messages/consume"),
    request("GET", "/queues/empty/messages/consume?wait=20"),
    request("POST", "/messages/1/ack", {}),
    request("GET", "/queues/q/messages?limit=50"),
    request("POST", "/queues/q/purge"),
]


def abort(port, rng):
    """Send part of a request, perhaps read part of its answer, and go; with a reset or without."""
    sent = rng.choice(REQUESTS)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent[: rng.randint(0, len(sent))] if rng.random() < 0.5 else sent)
        if rng.random() < 0.3:
            connection.settimeout(0.01)
            try:
                connection.recv(rng.randint(1, 400))
            except TimeoutError:
                pass
        if rng.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def entries(process, what):
    return len(os.listdir(f"/proc/{process.pid}/{what}"))


def files_of(process):
    """Return how many files are open, but for those of the log, which begin when there is a line."""
    opened = 0
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            opened += "broker_log" not in os.readlink(link)
    return opened


def until(condition, client):
    """Ask again until something is so; each question is a request, which lets the broker work."""
    for _ in range(20_000):
        if condition():
            return True
        client.get("/healthz")
    return False


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts what Linux shows in /proc")
def test_a_thousand_clients_that_go_away_leave_no_lease_no_thread_and_no_transaction(served):
    rng = random.Random(20)
    with httpx.Client(base_url=served.url) as client:
        for name in ("q", "empty"):
            client.post("/queues", json={"name": name, "lease_seconds": 1}).raise_for_status()
        client.post("/queues/q/messages", json={"content": "warm"}).raise_for_status()
        client.get("/queues/q/messages").raise_for_status()
        threads, files = entries(served.process, "task"), files_of(served.process)

        for _ in range(ABORTS):
            abort(served.port, rng)

        def leases():
            return client.get("/queues/q").json()["counts"]["processing"]

        assert until(lambda: leases() == 0, client)
        assert until(lambda: files_of(served.process) <= files, client)
        assert entries(served.process, "task") == threads
        # Nobody holds a transaction: the next write is answered, and so is the next long-poll.
        client.post("/queues/empty/messages", json={"content": "alive"}).raise_for_status()
        [message] = client.post("/queues/empty/messages/lease", json={"wait": 20}).json()[
            "messages"
        ]
        assert message["content"] == "alive"
        status = client.get("/queues/q").json()
        stored = client.get("/queues/q/messages?limit=1000").json()["messages"]
        assert status["message_count"] >= len(stored)
