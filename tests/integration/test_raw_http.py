"""What arrives on the socket without any client's manners."""

import json
import socket
import struct

import httpx
import pytest
from raw import CLOSE, HEALTHZ, talk
from served import HTTP_SERVERS, Served, begin, read_all

POST = b"POST /queues/q/messages HTTP/1.1\r\nhost: b\r\nconnection: close\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
SEVENTEEN_MIB = 17 * 1024 * 1024


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def served(request, tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("served"), http_server=request.param)
    served.run("queue", "create", "q")
    yield served
    served.end()


@pytest.mark.parametrize(
    "parts",
    [
        (POST + b"content-length: %d\r\n\r\n" % SEVENTEEN_MIB, b"x" * SEVENTEEN_MIB),
        (CHUNKED, *[b"10000\r\n" + b"x" * 65_536 + b"\r\n"] * 272, b"0\r\n\r\n"),
    ],
    ids=["with its length", "in chunks"],
)
def test_seventeen_mebibytes_are_413_and_nothing_is_stored(served, parts):
    head, _, body = talk(served, *parts).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 413 ")
    problem = json.loads(body)
    assert (problem["code"], problem["detail"]) == ("too-large", "the body exceeds 16777216 bytes")
    assert served.counts("q")["pending"] == 0


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10,  # a TLS hello
        CHUNKED + b"zz\r\n",  # not a size
        b"GET / HTTP/1.1\r\n\r\n",  # no host
        b"GET /\x00 HTTP/1.1\r\nhost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: b\r\nx: a\x00b\r\n\r\n",
        POST + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",  # smuggling
        POST + b"host: c\r\ncontent-length: 1\r\n\r\na",
        b"GET / HTTP/1.1\r\nhost:\r\n\r\n",
        b"GET / HTTP/1.0\r\nhost: b\r\nhost: c\r\n\r\n",
        b"GET healthz HTTP/1.1\r\nhost: b\r\n\r\n",
        b"GET * HTTP/1.1\r\nhost: b\r\n\r\n",
        b"CONNECT b:443 HTTP/1.1\r\nhost: b:443\r\n\r\n",
    ],
)
def test_what_is_not_http_is_400_and_ends_the_connection(served, request_bytes):
    assert talk(served, request_bytes).startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert served.counts("q")["pending"] == 0


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/queues/%2e%2e%2f%2e%2e/messages", b"404"),
        (b"/queues/..", b"422"),
        (b"/queues/a%00b", b"422"),
        (b"/queues/%ff%fe", b"422"),
        (b"/queues/" + b"a" * 9_000, b"422"),
        (b"/queues//messages", b"422"),
        (b"/queues?limit=%ff", b"422"),
    ],
)
def test_strange_paths_are_a_problem_of_the_client(served, target, status):
    answer = talk(served, b"GET %s HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n" % target)

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        HEALTHZ + CLOSE,
        b"GET /healthz HTTP/1.0\r\n\r\n",
        b"GET http://b/healthz HTTP/1.1\r\nhost: b\r\n" + CLOSE,
        HEALTHZ + b"upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n" + CLOSE,
        HEALTHZ + b"x: " + b"x" * 16_000 + b"\r\n" + CLOSE,
    ],
    ids=["HTTP/1.1", "HTTP/1.0", "as to a proxy", "upgrade to HTTP/2", "long header"],
)
def test_what_is_http_is_answered(served, request_bytes):
    head, _, body = talk(served, request_bytes).partition(b"\r\n\r\n")

    assert head.split(b" ")[:2] in ([b"HTTP/1.1", b"200"], [b"HTTP/1.0", b"200"])
    assert body == b'{"status":"ok"}'


def test_what_a_client_asked_for_ahead_is_not_answered_when_it_is_gone(served):
    served.run("queue", "create", "far")
    served.run("publish", "far", "x" * 1_000_000)
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        # Too much for the buffers between them, so the server waits, and learns that it is over.
        connection.sendall(b"GET /queues/far/messages HTTP/1.1\r\nhost: b\r\n\r\n" * 30)
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for _ in range(30):
        served.counts("far")  # as many requests as it would have to answer

    assert "socket.send() raised exception" not in (served.directory / "log.txt").read_text()


def test_http_2_is_not_spoken_in_clear_text(served):
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"

    assert talk(served, preface)[:13] in (b"", b"HTTP/1.1 505 ")


def test_requests_that_come_together_are_answered_in_order(served):
    answer = talk(served, HEALTHZ + b"\r\n" + HEALTHZ.replace(b"healthz", b"readyz") + CLOSE)

    [_, first, second] = answer.split(b"HTTP/1.1 200 ")
    assert first.endswith(b'{"status":"ok"}')
    assert second.partition(b"\r\n\r\n")[2].startswith(b'{"status":"ready",')


def test_head_is_answered_without_a_body(served):
    head, _, body = talk(served, HEALTHZ.replace(b"GET", b"HEAD") + CLOSE).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: 15" in head
    assert body == b""


def test_who_asks_first_whether_to_send_a_body_is_told_to(served):
    headers = b"content-type: text/plain\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(POST.replace(b"/q/", b"/nowhere/") + headers)
        first = connection.recv(1_000)
        connection.sendall(b"abc")
        second = connection.recv(1_000)

    assert first.startswith(b"HTTP/1.1 100 ")
    assert second.startswith(b"HTTP/1.1 404 ")


def test_a_connection_without_a_request_is_closed_after_a_while(served):
    beginnings = [b"", HEALTHZ[:20], HEALTHZ + b"\r\n"]
    connections = [socket.create_connection(("127.0.0.1", served.port)) for _ in beginnings]
    for connection, beginning in zip(connections, beginnings, strict=True):
        connection.settimeout(30)
        connection.sendall(beginning)
    answers = []
    for connection in connections:
        with connection, connection.makefile("rb") as stream:
            answers.append(stream.read()[:13])

    assert answers in (
        [b"", b"HTTP/1.1 408 ", b"HTTP/1.1 200 "],
        [b"", b"", b"HTTP/1.1 200 "],  # Granian says nothing to who is too slow
    )


@pytest.mark.parametrize("with_a_reset", [False, True])
def test_one_who_waits_for_messages_and_goes_keeps_none(served, with_a_reset):
    served.run("queue", "create", "waited")
    with httpx.Client(base_url=served.url) as client:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", served.port)) as connection:
                begin(connection, "/queues/waited/messages/lease", b'{"wait": 20}')
                connection.sendall(b'{"wait": 20}')
                if with_a_reset:
                    reset = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            client.post("/queues/waited/messages", json={"content": "x"}).raise_for_status()
            leased = client.post("/queues/waited/messages/lease", json={"wait": 20}, timeout=60)
            [message] = leased.json()["messages"]
            client.post(f"/messages/{message['id']}/ack").raise_for_status()

            assert message["delivery_count"] == 1


@pytest.mark.parametrize(
    ("path", "version", "status"),
    [(b"/healthz", b"13", b"400"), (b"/nowhere", b"13", b"404"), (b"/healthz", b"12", b"400")],
)
def test_a_websocket_where_there_is_none_is_refused_and_the_connection_ends(
    served, path, version, status
):
    upgrade = (
        b"GET %s HTTP/1.1\r\nhost: b\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: %s\r\n\r\n"
    )

    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        connection.sendall(upgrade % (path, version))
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 %s " % status)
    assert "Traceback" not in served.log()
