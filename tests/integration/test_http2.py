"""HTTP/2 over TLS, with real clients and with rude ones, whatever speaks it."""

import asyncio
import json
import shutil
import ssl
import subprocess

import httpx
import pytest
from http2 import Http2Client
from served import HTTP_SERVERS, Served

CURL = shutil.which("curl")
NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, ENHANCE_YOUR_CALM = 0, 1, 7, 11
MIB = 1024 * 1024
ENOUGH = (ENHANCE_YOUR_CALM, None)
"""A goodbye may get lost on its way to one who sends and does not read."""

NONE_LEASED = b'{"messages":[],"paused":false}'


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def served(request, tmp_path_factory):
    served = start(tmp_path_factory.mktemp("served"), request.param)
    yield served
    assert served.end() == 0
    assert "Traceback" not in served.log()


hypercorn_only = pytest.mark.parametrize("served", ["hypercorn"], indirect=True)
"""What docs/configuration.md says of both servers is not the same."""


def start(directory, http_server):
    served = Served(directory, http_server=http_server, tls="dev")
    with httpx.Client(base_url=served.url, verify=trusting(served)) as client:
        for name in ("q", "empty"):
            client.post("/queues", json={"name": name}).raise_for_status()
    return served


def trusting(served):
    return ssl.create_default_context(cafile=served.directory / "dev-cert.pem")


def client_of(served, kind=httpx.Client, **options):
    context = trusting(served)
    limits = httpx.Limits(max_connections=1)
    return kind(
        base_url=served.url, http2=True, verify=context, timeout=60, limits=limits, **options
    )


def rude_client(served, **options):
    return Http2Client(served.port, trusting(served), **options)


def test_a_message_goes_its_way(served):
    with client_of(served) as client:
        published = client.post("/queues/q/messages", json={"content": "hello"})
        leased = client.post("/queues/q/messages/lease", json={"wait": 20})
        [message] = leased.json()["messages"]
        settled = client.post("/messages/settle", json={"ack": [message["receipt"]]})
        again = client.post("/queues/q/messages/lease", json={})

    answers = [published, leased, settled, again]
    assert [answer.http_version for answer in answers] == ["HTTP/2"] * 4
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200]
    assert message["content"] == "hello"
    assert again.json()["messages"] == []
    assert "date" in published.headers


def test_errors_are_problems_and_head_has_no_body(served):
    with client_of(served) as client:
        unknown = client.get("/queues/nowhere")
        wrong = client.post("/queues", json={"name": ".."})
        method = client.put("/healthz")
        head = client.head("/healthz")

    assert (unknown.status_code, wrong.status_code, method.status_code) == (404, 422, 405)
    for answer in (unknown, wrong, method):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "15", b"")


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
@pytest.mark.parametrize("version", ["2", "1.1"])
def test_curl_speaks_both(served, version):
    trusted = ["--cacert", served.directory / "dev-cert.pem", f"--http{version}"]
    told = ["-sS", "-w", "\n%{http_version} %{http_code}", "-H", "content-type: text/plain"]
    command = [CURL, *trusted, *told, "-d", "hello", f"{served.url}/queues/nowhere/messages"]
    done = subprocess.run(command, capture_output=True, text=True)

    problem, _, told = done.stdout.rpartition("\n")
    assert told == f"{version} 404", done.stderr
    assert json.loads(problem)["code"] == "queue-not-found"


async def test_a_hundred_requests_wait_side_by_side_on_one_connection(served):
    async with (
        client_of(served, httpx.AsyncClient) as polling,
        client_of(served, httpx.AsyncClient) as publishing,
    ):
        await polling.get("/healthz")  # from now on it knows that it may send so many
        polls = [
            asyncio.ensure_future(polling.post("/queues/empty/messages/lease", json={"wait": 20}))
            for _ in range(100)
        ]
        published = await asyncio.gather(
            *(publishing.post("/queues/empty/messages", json={"content": "x"}) for _ in polls)
        )
        leased = [poll.json()["messages"] for poll in await asyncio.gather(*polls)]
        receipts = [message["receipt"] for messages in leased for message in messages]
        settled = await publishing.post("/messages/settle", json={"ack": receipts})

    assert [len(messages) for messages in leased] == [1] * 100
    assert {message["id"] for [message] in leased} == {p.json()["message_id"] for p in published}
    assert settled.status_code == 200


def test_bodies_up_to_the_limit_are_taken_and_answers_are_whole(served):
    messages = [{"content": "x" * (MIB - 1000)} for _ in range(15)]
    with client_of(served) as client:
        client.post("/queues", json={"name": "big"}).raise_for_status()
        taken = client.post("/queues/big/messages/batch", json={"messages": messages})
        listed = client.get("/queues/big/messages?limit=100")
        client.post("/queues/big/purge").raise_for_status()

    assert taken.status_code == 200
    assert len(taken.json()["results"]) == 15
    assert [len(m["content"]) for m in listed.json()["messages"]] == [MIB - 1000] * 15


def in_chunks():
    yield from [b"x" * MIB] * 17


@pytest.mark.parametrize("body", [lambda: b"x" * 17 * MIB, in_chunks], ids=["whole", "in chunks"])
def test_seventeen_mebibytes_are_413_and_the_connection_goes_on(served, body):
    with client_of(served) as client:
        text = {"content-type": "text/plain"}
        refused = client.post("/queues/q/messages", content=body(), headers=text)
        ready = client.get("/readyz")

    assert (refused.status_code, refused.json()["code"]) == (413, "too-large")
    assert ready.status_code == 200


def counts(served, queue):
    with httpx.Client(base_url=served.url, verify=trusting(served)) as client:
        return client.get(f"/queues/{queue}").json()["counts"]


def lease_and_ack(served, queue):
    """Lease what is there, or comes; return how often it was delivered."""
    with client_of(served) as client:
        leased = client.post(f"/queues/{queue}/messages/lease", json={"wait": 20, "limit": 100})
        messages = leased.json()["messages"]
        acks = {"ack": [message["receipt"] for message in messages]}
        client.post("/messages/settle", json=acks).raise_for_status()
    return [message["delivery_count"] for message in messages]


def test_who_waits_for_messages_and_resets_the_request_keeps_none(served):
    with rude_client(served) as client:
        for _ in range(5):
            stream = client.post("/queues/empty/messages/lease", b'{"wait": 20}')
            client.answer(client.open("GET", "/healthz"))  # the one before it is begun, too
            client.reset(stream)
            client.answer(client.open("GET", "/healthz"))
            client.answer(client.post("/queues/empty/messages", b'{"content": "x"}'))
            assert lease_and_ack(served, "empty") == [1]


@hypercorn_only
def test_who_resets_a_request_while_the_messages_are_on_their_way_gives_them_back(served):
    with rude_client(served, window=100) as client:
        stream = client.open("POST", "/queues/q/messages/batch", end=False, headers=JSON)
        messages = {"messages": [{"content": "x" * 1000}] * 10}
        client.h2.send_data(stream, json.dumps(messages).encode(), end_stream=True)
        client.until(lambda: stream in client.heads)
        client.reset(stream)
        leasing = client.open("POST", "/queues/q/messages/lease", end=False, headers=JSON)
        client.h2.send_data(leasing, b'{"limit": 10}', end_stream=True)
        client.flush()
        client.until(lambda: leasing in client.heads)
        client.reset(leasing)
        given_back = lease_and_ack(served, "q")

    assert given_back == [1] * 10


REFUSED = {"400", "404", "405"}
JSON = [("content-type", "application/json")]
METHOD, SCHEME, HOST, PATH = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "b"),
    (":path", "/healthz"),
]


MALFORMED = [
    [METHOD, SCHEME, HOST],  # no path
    [METHOD, SCHEME, HOST, (":path", "")],
    [METHOD, SCHEME, HOST, (":path", "healthz")],
    [METHOD, SCHEME, HOST, (":path", "*")],
    [METHOD, SCHEME, HOST, (":path", "/\u00fc")],
    [SCHEME, HOST, PATH],  # no method
    [METHOD, HOST, PATH],  # no scheme
    [METHOD, SCHEME, PATH],  # no host
    [METHOD, SCHEME, (":authority", ""), PATH],
    [METHOD, SCHEME, PATH, ("host", "b"), ("host", "c")],
    [METHOD, METHOD, SCHEME, HOST, PATH],
    [METHOD, SCHEME, HOST, PATH, (":path", "/readyz")],
    [METHOD, SCHEME, HOST, PATH, ("x", "a"), (":extra", "b")],
    [METHOD, SCHEME, HOST, PATH, ("X", "a")],
    [METHOD, SCHEME, HOST, PATH, ("x", "a\nb")],
    [METHOD, SCHEME, HOST, PATH, ("connection", "close")],
    [METHOD, SCHEME, HOST, PATH, ("transfer-encoding", "chunked")],
    [METHOD, SCHEME, HOST, PATH, ("upgrade", "websocket")],
    [METHOD, SCHEME, HOST, PATH, ("te", "gzip")],
    [METHOD, SCHEME, HOST, PATH, ("content-length", "abc")],
    [METHOD, SCHEME, HOST, PATH, ("content-length", "-0")],
    [METHOD, SCHEME, HOST, PATH, ("content-length", "9" * 5000)],
    [METHOD, SCHEME, HOST, PATH, ("content-length", "5")],  # and no body
    [METHOD, SCHEME, HOST, PATH, ("content-length", "0"), ("content-length", "5")],
    [(":method", "CONNECT"), (":authority", "b:443")],
    [(":method", "CONNECT"), (":protocol", "websocket"), SCHEME, HOST, PATH],
]


@pytest.mark.parametrize("headers", MALFORMED)
def test_what_is_no_request_is_not_served(served, headers):
    with rude_client(served) as client:
        stream = client.open_raw(headers)
        client.until(lambda: stream in client.ended or client.resets or client.goodbye is not None)

    status = client.heads.get(stream, {}).get(":status")
    assert (status in REFUSED) or client.resets.get(stream) or client.goodbye == PROTOCOL_ERROR


def publish_with_length(client, lengths, body):
    headers = [("content-type", "text/plain"), *(("content-length", n) for n in lengths)]
    stream = client.open("POST", "/queues/q/messages", end=False, headers=headers)
    client.h2.send_data(stream, body, end_stream=True)
    client.flush()
    return stream


WRONG_LENGTHS = [
    (["5"], b"x"),
    (["0"], b"x"),
    (["1"], b"xyz"),
    (["abc"], b"x"),
    (["1", "2"], b"x"),
]


@pytest.mark.parametrize(("lengths", "body"), WRONG_LENGTHS)
def test_a_body_that_is_not_as_long_as_was_said_is_not_taken(served, lengths, body):
    before = counts(served, "q")
    with rude_client(served) as client:
        stream = publish_with_length(client, lengths, body)
        client.until(lambda: stream in client.ended or client.resets or client.goodbye is not None)

    status = client.heads.get(stream, {}).get(":status")
    assert status in REFUSED or client.resets.get(stream) or client.goodbye == PROTOCOL_ERROR
    assert counts(served, "q") == before


@hypercorn_only
def test_a_body_that_is_not_as_long_as_was_said_does_not_end_others(served):
    with rude_client(served) as client:
        poll = client.post("/queues/empty/messages/lease", b'{"wait": 20}')
        for lengths, body in WRONG_LENGTHS:
            stream = publish_with_length(client, lengths, body)
            client.until(lambda stream=stream: stream in client.ended or stream in client.resets)
            status = client.heads.get(stream, {}).get(":status")
            assert status == "400" or client.resets[stream] == PROTOCOL_ERROR
        client.answer(client.post("/queues/empty/messages", b'{"content": "x"}'))
        _, body = client.answer(poll)
        [message] = json.loads(body)["messages"]
        client.answer(client.post(f"/messages/{message['id']}/ack", b"{}"))


@hypercorn_only
def test_what_is_no_request_does_not_end_others(served):
    with rude_client(served) as client:
        poll = client.post("/queues/empty/messages/lease", b'{"wait": 20}')
        for headers in [*MALFORMED, [METHOD, SCHEME, HOST, PATH, ("host", "c")]]:
            stream = client.open_raw(headers)
            client.until(lambda stream=stream: stream in client.ended)
            assert client.heads[stream][":status"] in REFUSED
        client.answer(client.post("/queues/empty/messages", b'{"content": "x"}'))
        _, body = client.answer(poll)
        [message] = json.loads(body)["messages"]
        client.answer(client.post(f"/messages/{message['id']}/ack", b"{}"))


def test_headers_have_a_limit(served):
    with rude_client(served) as client:
        fields = [(f"x-{number}", "x" * 1000) for number in range(90)]
        stream = client.open("GET", "/healthz", headers=fields)
        client.until(lambda: stream in client.ended or stream in client.resets)

    assert client.heads.get(stream, {}).get(":status") != "200"
    assert counts(served, "q")["pending"] == 0


def test_more_requests_than_allowed_are_not_begun(served):
    with rude_client(served) as client:
        client.answer(client.open("GET", "/healthz"))
        client.h2.remote_settings[3] = 1000  # what the server said does not count
        client.h2.remote_settings.acknowledge()
        for _ in range(101):
            client.open("POST", "/queues/q/messages", end=False, headers=JSON)
        client.until(lambda: client.resets or client.goodbye is not None)

    assert set(client.resets.values()) == {REFUSED_STREAM} or client.goodbye is not None


def test_a_flood_of_requests_that_are_reset_at_once_hurts_nobody(served):
    with rude_client(served) as client:
        client.answer(client.open("GET", "/healthz"))
        try:
            for _ in range(5_000):
                client.reset(client.open("GET", "/queues", flush=False), flush=False)
                if len(client.h2._data_to_send) > 60_000:
                    client.flush()
            client.flush()
        except OSError:
            pass  # it has seen enough
        client.read_to_the_end()
        with client_of(served) as other:
            ready = other.get("/readyz")

    assert client.goodbye in ENOUGH
    assert ready.status_code == 200


def flood(client, kind, stream):
    """Send thousands of frames that ask for nothing."""
    frames = {
        "ping": lambda number: client.h2.ping(b"12345678"),
        "settings": lambda number: client.h2.update_settings({4: 60_000 + number}),
        "priority": lambda number: client.h2.prioritize(stream, weight=1 + number % 200),
        "empty data": lambda number: client.h2.send_data(stream, b""),
        "goodbye": lambda number: client.say_goodbye(),
    }
    try:
        for number in range(5_000):
            frames[kind](number)
            client.flush()
    except OSError:
        pass  # it has seen enough


@pytest.mark.parametrize("kind", ["ping", "settings", "priority", "empty data", "goodbye"])
def test_a_flood_of_frames_that_ask_for_nothing_hurts_nobody(served, kind):
    with rude_client(served) as client, client_of(served) as other:
        flood(client, kind, client.open("POST", "/queues/q/messages", end=False, headers=JSON))
        assert other.get("/readyz").status_code == 200


@hypercorn_only
@pytest.mark.parametrize("kind", ["ping", "settings", "priority", "empty data", "goodbye"])
def test_a_flood_of_frames_that_ask_for_nothing_ends_the_connection(served, kind):
    with rude_client(served) as client:
        flood(client, kind, client.open("POST", "/queues/q/messages", end=False, headers=JSON))
        client.read_to_the_end()

    assert client.goodbye in ENOUGH


@pytest.mark.parametrize("http_server", HTTP_SERVERS)
def test_a_signal_ends_what_goes_on_and_says_goodbye(tmp_path, http_server):
    served = start(tmp_path, http_server)
    with rude_client(served) as idle, rude_client(served) as polling:
        idle.answer(idle.open("GET", "/healthz"))
        polls = [polling.post("/queues/empty/messages/lease", b'{"wait": 20}') for _ in range(20)]
        polling.answer(polling.open("GET", "/healthz"))
        served.process.terminate()
        answers = [polling.answer(poll) for poll in polls]
        polling.read_to_the_end()
        idle.read_to_the_end()
    served.process.stdout.close()

    assert served.process.wait() == 0
    assert {body for _, body in answers} == {NONE_LEASED}
    assert not any("connection" in headers for headers, _ in answers)
    assert (idle.goodbye, polling.goodbye) == (NO_ERROR, NO_ERROR)
    assert "did not end in time" not in served.log()
    assert "Traceback" not in served.log()


@hypercorn_only
def test_a_connection_without_a_request_is_closed_after_a_while(served):
    with rude_client(served) as client:
        client.answer(client.open("GET", "/healthz"))
        client.read_to_the_end()

    assert client.goodbye == NO_ERROR
