"""`GET /metrics`, beside the broker's port and on it."""

import asyncio

import pytest
from scraped import families, samples

TOKEN = "a token of 32 bytes, or of more."
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


def make(broker_factory, **table):
    return broker_factory(["metrics"], config={"plugins": {"metrics": table}})


async def scrape(client, path="/metrics", *, host="localhost", **headers):
    """Ask the listener, as Prometheus would."""
    address = dict(client.assembly.transports)["metrics"].listener.address
    reader, writer = await asyncio.open_connection(*address)
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        *(f"{key}: {text}" for key, text in headers.items()),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split(b" ")[1]), head.decode().lower(), body


async def test_the_listener_answers_whoever_is_on_this_machine(broker_factory, clock):
    async with make(broker_factory, listen="127.0.0.1:0") as client:
        await client.create_queue("q")
        await client.publish("q", "tea")
        clock.advance(1)  # so that nobody looked since
        status, head, body = await scrape(client)

        assert (status, "text/plain; version=0.0.4" in head) == (200, True)
        found = samples(body)
        assert found["broker_queue_messages_ready", "q"] == 1
        assert found["broker_messages_published_total", "q"] == 1
        route = ("POST", "/queues/{queue}/messages", "201")
        assert found["broker_http_request_duration_seconds_count", *route] == 1
        assert found["process_open_fds",] > 0
        assert (await client.get("/metrics")).status == 404


@pytest.mark.parametrize(("table", "status"), [({}, 421), ({"token": TOKEN}, 200)])
async def test_by_the_name_of_others_they_are_told_with_a_token_only(broker_factory, table, status):
    async with make(broker_factory, listen="127.0.0.1:0", **table) as client:
        assert (await scrape(client, host="evil.example:9464", **AUTHORIZED))[0] == status


async def test_prometheus_gets_openmetrics(broker_factory):
    accept = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
        "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    )
    async with make(broker_factory, listen="127.0.0.1:0") as client:
        _, head, body = await scrape(client, accept=accept)

        assert "application/openmetrics-text; version=1.0.0" in head
        assert "broker_queues" in families(body, openmetrics=True)
        assert (await scrape(client, accept="application/json"))[0] == 406


async def test_versions_are_told(broker_factory):
    async with make(broker_factory, listen="127.0.0.1:0") as client:
        found = families((await scrape(client))[2])
        [build] = found["broker_build_info"].samples
        plugins = {sample.labels["plugin"] for sample in found["broker_plugin_info"].samples}

        assert build.labels["version"] == client.broker.info.version
        assert build.labels["storage"] == "memory"
        assert plugins == {plugin.name for plugin in client.broker.info.plugins}
        [start] = found["broker_start_time_seconds"].samples
        assert start.value == client.broker.info.started_at / 1000


async def test_with_a_token_the_metrics_are_on_the_port_of_the_broker(broker_factory):
    async with make(broker_factory, token=TOKEN) as client:
        assert dict(client.assembly.transports)["metrics"].listener is None
        for path in ("/metrics", "/v1/metrics"):
            answer = await client.get(path, headers=AUTHORIZED)
            assert answer.status == 200
            assert "broker_queues" in families(answer.body)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "unauthenticated"),
        ({"authorization": "Bearer"}, "invalid-token"),
        ({"authorization": f"Bearer {TOKEN}x"}, "invalid-token"),
        ({"authorization": f"Bearer {TOKEN[:-1]}"}, "invalid-token"),
        ({"authorization": "Bearer \xff"}, "invalid-token"),
        ({"authorization": f"Basic {TOKEN}"}, "invalid-token"),
    ],
)
async def test_without_it_nobody_gets_them(broker_factory, headers, code):
    async with make(broker_factory, token=TOKEN, listen="127.0.0.1:0") as client:
        answer = await client.get("/metrics", headers=headers)
        assert (answer.status, answer.json()["code"]) == (401, code)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert b"broker_" not in answer.body

        status, head, body = await scrape(client, **headers)
        assert (status, "www-authenticate: bearer" in head) == (401, True)
        assert b"broker_" not in body


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        ({}, ["metrics: http://127.0.0.1:9464/metrics, for this machine alone"]),
        ({"listen": "[::1]:9100"}, ["metrics: http://[::1]:9100/metrics, for this machine alone"]),
        ({"token": TOKEN}, ["metrics: /metrics on the broker's port, with the token"]),
        (
            {"listen": "localhost:9100", "token": TOKEN},
            [
                "metrics: http://localhost:9100/metrics and /metrics on the broker's port, with "
                "the token"
            ],
        ),
        (
            {"listen": "192.0.2.7:9464", "token": TOKEN},
            [
                "metrics: http://192.0.2.7:9464/metrics and /metrics on the broker's port, with "
                "the token",
                'plugins.metrics.listen: who reaches "192.0.2.7" from elsewhere does so by plain '
                "HTTP, so those on the way can read the token and the names of queues; leave it "
                "out, and /metrics is on the broker's own port, with its TLS",
            ],
        ),
    ],
)
async def test_who_starts_it_is_told_where_they_are_and_who_reads_them(
    broker_factory, table, lines
):
    transport = dict(make(broker_factory, **table).assembly.transports)["metrics"]

    assert await transport.notices() == lines


async def test_they_are_told_while_the_broker_drains(broker_factory):
    async with make(broker_factory, token=TOKEN, listen="127.0.0.1:0") as client:
        client.broker.drain()

        assert (await client.get("/queues")).status == 503
        assert (await client.get("/metrics", headers=AUTHORIZED)).status == 200
        assert (await scrape(client, **AUTHORIZED))[0] == 200


async def test_they_are_told_while_there_are_too_many_requests(broker_factory):
    config = {"server": {"max_requests": 1}, "plugins": {"metrics": {"token": TOKEN}}}
    async with broker_factory(["metrics"], config=config) as client:
        with client.broker.turns.taken():
            assert (await client.get("/queues")).status == 503
            answer = await client.get("/metrics", headers=AUTHORIZED)

    assert answer.status == 200
    assert samples(answer.body)["broker_http_requests_in_flight",] == 2
