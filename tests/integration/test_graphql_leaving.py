"""Clients of GraphQL that go away keep no lease: over real connections, with both HTTP servers."""

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

CUTS = 300
WAITING = 40
RESET = struct.pack("ii", 1, 0)
WAIT = 'mutation { lease(queue: "empty", limit: 10, wait: 20) { deliveries { receipt } } }'
DOCUMENTS = [
    WAIT,
    'mutation { lease(queue: "q", limit: 10, wait: 20) { deliveries { receipt } } }',
    """
    mutation {
        first: lease(queue: "empty", wait: 1) { deliveries { receipt } }
        second: lease(queue: "q", limit: 2) { deliveries { receipt } }
        publishMessage(queue: "q", message: { content: "x" }) { messageId }
        third: lease(queue: "q", limit: 2) { deliveries { receipt } }
    }
    """,
]

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="counts what Linux shows in /proc"
)


@pytest.fixture(params=HTTP_SERVERS)
def served(request, tmp_path):
    served = Served(tmp_path, http_server=request.param, plugins=["graphql"])
    yield served
    served.end()


@pytest.fixture
def client(served):
    with httpx.Client(base_url=served.url, timeout=30) as client:
        policies = {"q": {"lease_seconds": 1, "max_deliveries": None}, "empty": {}}
        for name, policy in policies.items():
            client.post("/queues", json={"name": name, **policy}).raise_for_status()
        yield client


def request(query):
    content = json.dumps({"query": query}).encode()
    return (
        b"POST /graphql HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n" % len(content)
    ) + content


def publish(client, count, queue):
    body = {"messages": [{"content": "x"}] * count}
    client.post(f"/queues/{queue}/messages/batch", json=body).raise_for_status()


def counts(client, queue):
    return client.get(f"/queues/{queue}").json()["counts"]


def connections(served):
    """Count its sockets; its log and its disk open files when they like."""
    count = 0
    for one in Path(f"/proc/{served.process.pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            count += os.readlink(one).startswith("socket:")
    return count


def until(condition, client):
    """Ask again until something is so; each question is a request, which lets the broker work."""
    for _ in range(20_000):
        if condition():
            return True
        client.get("/healthz")
    return False


def go(connection, rng):
    """Hang up, with a reset or without."""
    if rng.random() < 0.5:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


def test_who_waited_and_went_keeps_no_lease(served, client):
    rng = random.Random(6)
    counts(client, "empty")
    before = connections(served)
    waiting = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(WAITING)]
    for connection in waiting:
        connection.sendall(request(WAIT))
    assert until(lambda: connections(served) >= before + WAITING, client)

    for connection in waiting:
        go(connection, rng)
    assert until(lambda: connections(served) <= before, client)
    publish(client, WAITING, "empty")

    assert counts(client, "empty")["processing"] == 0
    body = {"query": WAIT.replace("receipt", "message { deliveryCount }")}
    leased = client.post("/graphql", json=body).json()["data"]["lease"]["deliveries"]
    assert leased == [{"message": {"deliveryCount": 1}}] * 10


def test_who_goes_at_any_moment_leaves_nothing_behind(served, client):
    rng = random.Random(7)
    publish(client, 100, "q")
    counts(client, "q")
    before = connections(served)

    for _ in range(CUTS):
        sent = request(rng.choice(DOCUMENTS))
        connection = socket.create_connection(("127.0.0.1", served.port))
        connection.sendall(sent if rng.random() < 0.8 else sent[: rng.randrange(len(sent))])
        go(connection, rng)

    assert until(lambda: connections(served) <= before, client)
    # What an answer had taken along comes back when its lease is over.
    assert until(lambda: counts(client, "q")["processing"] == 0, client)
    assert counts(client, "q")["pending"] >= 100


@pytest.fixture
def with_queues(serve):
    call = serve(anonymous=True, plugins=["memory", "graphql"])
    for name in ("q", "empty"):
        call("POST", "/queues", json={"name": name})
    return call


@pytest.mark.parametrize("query", DOCUMENTS, ids=["waits", "leases", "several"])
def test_one_who_asks_and_goes_at_once_keeps_none(with_queues, query):
    with_queues.publish()

    with_queues.send_and_go("POST", "/graphql", json.dumps({"query": query}).encode())

    with_queues.publish(queue="empty")
    assert with_queues("GET", "/queues/q").json["counts"]["processing"] == 0
    assert with_queues("GET", "/queues/empty").json["counts"]["pending"] == 1
    assert with_queues.lease()[0]["delivery_count"] == 1


def test_one_who_goes_while_waiting_is_not_waited_for(with_queues):
    pending = with_queues.begin("POST", "/graphql", json={"query": WAIT})
    assert not pending.done

    with_queues.hang_up(pending)

    with_queues.publish(queue="empty")
    assert with_queues("GET", "/queues/empty").json["counts"]["pending"] == 1
