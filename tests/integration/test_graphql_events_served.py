"""Subscriptions over real servers, to real clients, over HTTP/1.1 and HTTP/2."""

import asyncio
import signal
import ssl

import httpx
import pytest
from httpx_sse import aconnect_sse
from served import HTTP_SERVERS, Served

EVENTS = 300
GRACE = 5
PUBLISHED = (
    "subscription ($q: [String!]!) { events(queue: $q, event: MESSAGE_PUBLISHED) { messageId } }"
)
ACCEPT = {"accept": "text/event-stream"}


@pytest.fixture(params=HTTP_SERVERS)
def serve(request, tmp_path):
    started = []

    def serve(**options):
        options = {"http_server": request.param, "plugins": ["graphql"], **options}
        started.append(Served(tmp_path, **options))
        return started[0]

    yield serve
    for served in started:
        if served.process.poll() is None:
            assert served.end() == 0
        assert "Traceback" not in served.log()


def client_of(served, **options):
    tls = served.url.startswith("https")
    verify = ssl.create_default_context(cafile=served.directory / "dev-cert.pem") if tls else True
    return httpx.AsyncClient(
        base_url=served.url, http2=tls, verify=verify, timeout=60, headers=ACCEPT, **options
    )


def subscribe(client, queue):
    body = {"query": PUBLISHED, "variables": {"q": [queue]}}
    return aconnect_sse(client, "POST", "/graphql", json=body)


async def numbers_of(source, count):
    """Take so many results."""
    numbers = []
    async for event in source.aiter_sse():
        if not event.data:  # what httpx-sse makes of a comment
            continue
        assert event.event == "next"
        numbers.append(event.json()["data"]["events"]["messageId"])
        if len(numbers) == count:
            return numbers
    return numbers


async def make(client, *queues):
    for queue in queues:
        (
            await client.post("/queues", json={"name": queue}, headers={"accept": "*/*"})
        ).raise_for_status()


async def publish(client, queue, count):
    """Publish one after the other; return the ids."""
    numbers = []
    for _ in range(count):
        answer = await client.post(f"/queues/{queue}/messages", json={"content": "x"})
        numbers.append(str(answer.raise_for_status().json()["message_id"]))
    return numbers


@pytest.mark.parametrize("tls", [False, True], ids=["http1", "http2"])
async def test_more_events_than_wait_for_a_client_come_in_order_and_none_is_lost(serve, tls):
    served = serve(**({"tls": "dev"} if tls else {}))
    async with client_of(served) as client:
        await make(client, "q", "other")
        async with (
            subscribe(client, "q") as mine,
            subscribe(client, "*") as all_,
            subscribe(client, "nowhere") as nothing,
        ):
            for source in (mine, all_, nothing):
                assert source.response.status_code == 200
                assert source.response.http_version == ("HTTP/2" if tls else "HTTP/1.1")
            async with asyncio.TaskGroup() as group:
                told = [group.create_task(numbers_of(s, EVENTS)) for s in (mine, all_)]
                published = group.create_task(publish(client, "q", EVENTS))

    assert told[0].result() == told[1].result() == published.result()


async def test_a_query_is_answered_as_events_to_who_reads_nothing_else(serve):
    served = serve()
    async with (
        client_of(served) as client,
        aconnect_sse(client, "POST", "/graphql", json={"query": "{ me { subject } }"}) as source,
    ):
        told = [(event.event, event.data) async for event in source.aiter_sse()]

    assert told == [("next", '{"data":{"me":{"subject":"anonymous"}}}'), ("complete", "")]


async def test_a_broker_that_stops_ends_every_subscription_and_calls_none_complete(serve):
    # Over HTTP/2, streams of all kinds end in test_draining_streams: httpx loses what came together
    # with the end of a connection.
    served = serve(shutdown_seconds=GRACE)
    async with client_of(served) as client:
        await make(client, "q")
        bodies = []

        async def read():
            request = {"query": PUBLISHED, "variables": {"q": ["q"]}}
            async with client.stream("POST", "/graphql", json=request) as response:
                parts = response.aiter_bytes()
                body = await anext(parts)
                opened.release()
                bodies.append(body + b"".join([part async for part in parts]))

        opened = asyncio.Semaphore(0)
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(read())
            for _ in range(20):
                await opened.acquire()
            served.process.send_signal(signal.SIGTERM)
    served.process.stdout.close()

    assert served.process.wait() == 0
    assert bodies == [b": hb\n\n: end shutdown\n\n"] * 20
