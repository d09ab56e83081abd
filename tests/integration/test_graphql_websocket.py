"""GraphQL over WebSockets, by real servers and real clients, and by clients that mean no good."""

import asyncio
import json
import signal
from contextlib import AsyncExitStack, suppress

import httpx
import pytest
from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from served import HTTP_SERVERS, Served
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PLACES = 60
SUBPROTOCOL = "graphql-transport-ws"
INIT = '{"type":"connection_init"}'
EVENTS = "subscription ($queue: [String!]!) { events(queue: $queue) { event queue messageId } }"


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def served(request, tmp_path_factory):
    served = Served(
        tmp_path_factory.mktemp("served"),
        plugins=["graphql"],
        http_server=request.param,
        broker={"max_streams_per_identity": PLACES},
    )
    yield served
    assert served.end() == 0
    assert "Traceback" not in served.log()


def url_of(served):
    return served.url.replace("http", "ws", 1) + "/graphql"


def client_of(served, **options):
    transport = WebsocketsTransport(url_of(served), subprotocols=[SUBPROTOCOL], **options)
    return Client(transport=transport)


def raw(served, **options):
    return connect(url_of(served), subprotocols=[SUBPROTOCOL], max_size=None, **options)


async def hear(client):
    return json.loads(await client.recv())


async def begin(client):
    await client.send(INIT)
    assert await hear(client) == {"type": "connection_ack"}


async def ask(client, query, name="1", **variables):
    payload = {"query": query, "variables": variables}
    await client.send(json.dumps({"id": name, "type": "subscribe", "payload": payload}))


async def code_of(client):
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await client.recv()
    return closed.value.rcvd.code


async def all_places_are_free(served):
    """Return once as many connections as there may be were open at one time."""
    async with asyncio.timeout(60), AsyncExitStack() as stack:
        for _ in range(PLACES):
            is_open = False
            while not is_open:
                client = await stack.enter_async_context(raw(served))
                await client.send(INIT)
                with suppress(ConnectionClosed):
                    is_open = await hear(client) == {"type": "connection_ack"}


async def test_the_client_gql_queries_and_subscribes_over_one_connection(served):
    make = "mutation ($name: String!) { createQueue(name: $name) { name } }"
    async with client_of(served) as client:
        events = client.subscribe(GraphQLRequest(EVENTS, variable_values={"queue": ["gql-*"]}))
        told = asyncio.ensure_future(anext(events))
        made = []
        while not told.done():  # the first may be made before it is subscribed
            made.append(f"gql-{len(made)}")
            await client.execute(GraphQLRequest(make, variable_values={"name": made[-1]}))
        assert (await told)["events"]["queue"] in made
        await events.aclose()
        with pytest.raises(TransportQueryError, match='there is no queue "none"'):
            await client.execute(gql('{ queue(name: "none") { name } }'))


async def test_a_thousand_events_come_in_order_to_each_of_many_subscriptions(served):
    async with raw(served) as client, httpx.AsyncClient(base_url=served.url) as http:
        await begin(client)
        await http.post("/queues", json={"name": "many"})
        for number in range(5):
            await ask(client, EVENTS, f"{number}", queue=["many"])
        await client.send('{"type":"ping"}')
        assert await hear(client) == {"type": "pong"}  # so they have begun
        heard = {f"{number}": [] for number in range(5)}
        published = []
        for _ in range(10):
            batch = {"messages": [{"content": "x"} for _ in range(100)]}
            answer = await http.post("/queues/many/messages/batch", json=batch)
            published += [result["message_id"] for result in answer.json()["results"]]
            for _ in range(500):
                frame = await hear(client)
                heard[frame["id"]].append(frame["payload"]["data"]["events"]["messageId"])

    expected = [str(message_id) for message_id in published]
    assert len(expected) == 1_000
    assert all(ids == expected for ids in heard.values())


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["nonsense"], 4400),
        ([b"{}"], 4400),
        ([b""], 4400),
        ([""], 4400),
        (["[" * 8_000], 4400),
        ([["[", "]"] * 10], 4400),
        ([INIT, INIT], 4429),
        (['{"type":"subscribe","id":"1","payload":{"query":"{ me { subject } }"}}'], 4401),
        (["x" * 9_000], 1009),
        (["x" * 1_000_000], 1009),
        ([["x"] * 9_000], 1009),
        ([INIT, "x" * 3_000_000], 1009),
    ],
)
async def test_who_breaks_the_protocol_hears_why(served, messages, code):
    async with raw(served) as client:
        with suppress(ConnectionClosed):
            for message in messages:
                await client.send(message)
        assert await code_of(client) == code


async def test_without_the_subprotocol_it_is_4406(served):
    async with connect(url_of(served)) as client:
        assert await code_of(client) == 4406


async def test_who_says_nothing_is_4408(served):
    async with raw(served) as client:
        assert await code_of(client) == 4408


@pytest.mark.parametrize(
    ("origin", "status"), [("http://evil.example", 403), ("null", 403), ("ours", None)]
)
async def test_a_page_of_another_origin_is_refused(served, origin, status):
    origin = served.url if origin == "ours" else origin
    if status is None:
        async with raw(served, origin=origin) as client:
            await begin(client)
        return
    with pytest.raises(InvalidStatus) as refused:
        await raw(served, origin=origin)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["code"] == "cross-site"


async def test_nothing_is_compressed(served):
    async with raw(served, compression="deflate") as client:
        assert client.protocol.extensions == []
        await begin(client)


async def test_what_is_no_websocket_ends_the_connection_and_nothing_else(served):
    for bytes_ in (
        b"\x81\x82\0\0\0\0\xff\xfe",
        b"\xc1\x81\0\0\0\0x",
        b"\x80\x81\0\0\0\0x",
        b"\x81\x01x",
    ):
        async with raw(served) as client:
            await begin(client)
            client.transport.write(bytes_)
            with pytest.raises(ConnectionClosed):
                await client.recv()
    await all_places_are_free(served)


async def test_five_hundred_that_come_and_go_leave_nothing_behind(served):
    async def come_and_go(number):
        async with asyncio.timeout(60):
            client = await raw(served)
            steps = (
                lambda: client.send(INIT),
                lambda: ask(client, EVENTS, queue=["*"]),
                lambda: ask(client, "{ me { subject } }", "2"),
                client.recv,
                client.recv,
            )
            with suppress(ConnectionClosed):
                for step in steps[: number % 6]:
                    await step()
            if number % 4:
                client.transport.abort()
            else:
                await client.close()

    for begun in range(0, 500, 50):
        async with asyncio.TaskGroup() as tasks:
            for number in range(begun, begun + 50):
                tasks.create_task(come_and_go(number))
    await all_places_are_free(served)


async def test_who_never_reads_is_let_go(served):
    look = '{ queue(name: "unread") { messages(first: 20) { nodes { content } } } }'
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as http:
        await http.post("/queues", json={"name": "unread"})
        batch = {"messages": [{"content": "x" * 100_000}] * 20}
        (await http.post("/queues/unread/messages/batch", json=batch)).raise_for_status()
    client = await raw(served)
    await begin(client)
    await ask(client, look)
    assert len((await client.recv())) > 2_000_000
    client.transport.pause_reading()
    for number in range(10):
        await ask(client, look, f"{number}")
    await all_places_are_free(served)
    client.transport.abort()


@pytest.fixture(params=HTTP_SERVERS)
def fresh(request, tmp_path):
    served = Served(
        tmp_path,
        plugins=["graphql"],
        http_server=request.param,
        shutdown_seconds=5,
        broker={"max_streams_per_identity": PLACES},
    )
    yield served
    if served.process.poll() is None:
        served.end(signal.SIGKILL)


async def test_at_the_end_all_are_told_to_come_again(fresh):
    clients = [await raw(fresh) for _ in range(50)]
    for client in clients:
        await begin(client)
        await ask(client, EVENTS, queue=["*"])
    strangers = [await raw(fresh) for _ in range(5)]
    fresh.process.send_signal(signal.SIGTERM)

    assert {await code_of(client) for client in clients} == {1012}
    for client in strangers:
        client.transport.abort()
    assert await asyncio.to_thread(fresh.process.wait) == 0
    fresh.process.stdout.close()
    assert "Traceback" not in fresh.log()
