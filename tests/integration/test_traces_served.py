"""What `broker serve` traces, as a real collector gets it."""

import socket
import subprocess
import sys

import httpx
import pytest
from collector import Collector
from served import HTTP_SERVERS

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


@pytest.fixture(autouse=True)
def no_other_opentelemetry(monkeypatch):
    """No variable of the machine's own environment has a say."""
    import os

    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector


@pytest.fixture
def start(live_server, tmp_path):
    """Start a broker on the data of those that were started before it."""

    def start(http_server="hypercorn", **traces):
        config = {"broker": {"data_dir": str(tmp_path)}, "traces": traces}
        return live_server(["storage_sqlite"], config=config, http_server=http_server)

    return start


@pytest.mark.parametrize("http_server", HTTP_SERVERS)
def test_a_lease_is_linked_to_the_publish_of_another_process(start, collector, http_server):
    first = start(http_server, endpoint=collector.url, service_name="first")
    httpx.post(f"{first.url}/queues", json={"name": "orders"}).raise_for_status()
    published = httpx.post(
        f"{first.url}/queues/orders/messages",
        json={"content": "hello"},
        headers={"traceparent": TRACEPARENT},
    )
    first.stop()
    second = start(http_server, endpoint=collector.url, service_name="second")
    [message] = httpx.post(f"{second.url}/queues/orders/messages/lease", json={}).json()["messages"]
    second.stop()

    request = collector.span("first", "POST /queues/{queue}/messages")
    publish = collector.span("first", "publish orders")
    assert (request.trace, request.parent) == (TRACE, CALLER)
    assert (publish.trace, publish.parent) == (TRACE, request.id)
    assert message["id"] == published.json()["message_id"]
    assert message["headers"]["traceparent"].startswith(f"00-{TRACE}-{publish.id}-")
    lease = collector.span("second", "lease orders")
    assert lease.parent == collector.span("second", "POST /queues/{queue}/messages/lease").id
    assert lease.trace != TRACE
    assert lease.links == [(TRACE, publish.id)]
    assert {path for path, _ in collector.requests} == {"/v1/traces"}


def test_the_environment_says_where_spans_go_and_with_which_credentials(
    start, collector, monkeypatch
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20hunter2")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ours")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=h1,deployment.environment.name=test")
    server = start(resource={"host.name": "h2"})
    httpx.get(f"{server.url}/queues").raise_for_status()
    server.stop()

    span = collector.span("ours", "GET /queues")
    assert span.resource["host.name"] == "h2"
    assert span.resource["deployment.environment.name"] == "test"
    assert collector.requests[0][1]["authorization"] == "Basic hunter2"
    assert "hunter2" not in server.log()


def test_a_collector_that_is_down_is_told_of_once_and_fails_no_request(start, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
        server = start(endpoint=f"http://127.0.0.1:{unused.getsockname()[1]}")
        statuses = [httpx.get(f"{server.url}/queues").status_code for _ in range(5)]
        server.stop()

    assert statuses == [200] * 5
    assert server.process.returncode == 0
    [line] = [line for line in server.log().splitlines() if "span" in line]
    assert "spans cannot be sent to http://127.0.0.1:" in line


PROGRAM = """
import asyncio, sys
{before}
from broker import Draft, Identity, QueueSpec, open_broker
from broker import create_app

async def main():
    tables = {{"broker": {{"plugins": ["memory"], "anonymous": True}}}}
    create_app(tables)
    async with open_broker(tables) as broker:
        admin = Identity(subject="root", scopes=frozenset({{"admin"}}))
        await broker.queues.create(admin, QueueSpec("q"))
        await broker.publish(admin, [Draft(queue="q", body=b"")])
        [delivery] = (await broker.lease(admin, "q")).deliveries
        print(delivery.message.headers)

asyncio.run(main())
print([name for name in sys.modules if name.startswith(("opentelemetry.", "broker.tracing"))])
"""


@pytest.mark.parametrize("before", ["", "sys.modules['opentelemetry'] = None"])
def test_without_an_endpoint_nothing_of_it_is_there(tmp_path, before):
    command = [sys.executable, "-c", PROGRAM.format(before=before)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout == "{}\n[]\n"
