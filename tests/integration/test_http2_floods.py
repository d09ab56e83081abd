"""HTTP/2: headers without an end, answers that nobody takes."""

import json

import httpx
import pytest
from http2 import Http2Client
from hyperframe.frame import ContinuationFrame, HeadersFrame
from raw import trust
from served import HTTP_SERVERS, Served

KIB = 1024


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def served(request, tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("served"), http_server=request.param, tls="dev")
    served.name = request.param
    yield served
    assert served.end() == 0
    assert "Traceback" not in served.log()


def connect(served, **options):
    return Http2Client(served.port, trust(served), **options)


def is_ready(served):
    with httpx.Client(base_url=served.url, verify=trust(served), http2=True) as client:
        return client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        [("x", "x" * 16 * KIB)],
        [(f"x-{number}", "x" * 1000) for number in range(20)],
        [("x", "")] * 100,
    ],
    ids=["one header", "many headers", "a hundred and one headers"],
)
def test_headers_beyond_the_limit_are_431_and_others_go_on(served, fields):
    with connect(served) as client:
        poll = client.post("/queues/nowhere/messages", b"{}")
        stream = client.open("GET", "/healthz", headers=fields)
        client.until(lambda: stream in client.ended or stream in client.resets)
        after = client.open("GET", "/healthz")
        head, _ = client.answer(after)
        client.answer(poll)

    assert head[":status"] == "200"
    if served.name == "hypercorn":
        problem = json.loads(client.bodies[stream])
        assert problem["code"] == "request-header-fields-too-large"
    assert client.heads.get(stream, {":status": "reset"})[":status"] in {"431", "reset"}


def continue_for_ever(client, block, *, frames=2_000):
    """Send the headers of a request without an end (CVE-2024-27316 and its like)."""
    first = HeadersFrame(1, client.h2.encoder.encode([(":method", "GET")]))
    more = ContinuationFrame(1, block)
    try:
        client.socket.sendall(first.serialize())
        for _ in range(frames):
            client.socket.sendall(more.serialize())
    except OSError:
        return  # it has seen enough
    client.read_to_the_end()


@pytest.mark.parametrize("block", [b"", b"\x00\x01x\x01y", b"\x00\x01x\x01y" * 3_000])
def test_headers_without_an_end_end_the_connection_and_hurt_nobody(served, block):
    with connect(served) as client:
        continue_for_ever(client, block)

        assert is_ready(served)


def test_headers_that_unpack_to_far_more_hurt_nobody(served):
    with connect(served) as client:
        name = client.h2.encoder.encode([("x", "y" * 3_000)])
        again = b"\xbe" * 10_000  # the field that was added to the table last
        frame = HeadersFrame(1, name + again, flags=["END_HEADERS", "END_STREAM"])
        client.socket.sendall(frame.serialize())
        client.until(lambda: client.ended or client.resets or client.goodbye is not None)

        assert is_ready(served)
    assert client.heads.get(1, {}).get(":status") != "200"
