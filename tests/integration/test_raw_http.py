"""What arrives on the socket without any client's manners."""

import json
import socket

import pytest
from served import Served

POST = b"POST /queues/q/messages HTTP/1.1\r\nhost: b\r\nconnection: close\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
SEVENTEEN_MIB = 17 * 1024 * 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("served"))
    served.run("queue", "create", "q")
    yield served
    served.end()


def talk(served, *parts):
    """Send what can be sent, and return all that is answered."""
    answer = b""
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.settimeout(30)
        try:
            for part in parts:
                connection.sendall(part)
        except OSError:
            pass  # it has heard enough
        try:
            while part := connection.recv(65_536):
                answer += part
        except ConnectionResetError:
            pass
    return answer


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
    ],
)
def test_what_is_not_http_is_400_and_ends_the_connection(served, request_bytes):
    assert talk(served, request_bytes).startswith(b"HTTP/1.1 400 ")
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


def test_a_websocket_where_there_is_none_is_refused_without_an_error(served):
    upgrade = (
        b"GET /healthz HTTP/1.1\r\nhost: b\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    )

    assert talk(served, upgrade).startswith(b"HTTP/1.1 400 ")
    assert b"Traceback" not in (served.directory / "log.txt").read_bytes()
