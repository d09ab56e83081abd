"""Requests that are not to be served, in ASGI's words."""

import pytest

from broker.serving.endpoint import MAX_HEAD_BYTES
from broker.serving.strictness import Strictness

HOST = (b"host", b"b")


async def ask(path="/", *, query=b"", method="GET", version="1.1", headers=(HOST,), kind="http"):
    """Return whether the request was served, and the statuses that were sent."""
    served, sent = [], []

    async def app(scope, receive, send):
        served.append(scope["path"])

    async def send(message):
        sent.append(message.get("status"))

    scope = {"type": kind, "path": path, "raw_path": path.encode(), "query_string": query}
    scope |= {"method": method, "http_version": version, "headers": list(headers)}
    await Strictness(app)(scope, None, send)
    return bool(served), sent


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"path": "http://b/queues"},
        {"path": "https://b"},
        {"path": "*", "method": "OPTIONS"},
        {"version": "1.0", "headers": ()},
        {"version": "1", "headers": [(b"host", b"")]},
        {"headers": [(b"host", b"broker.example:8777")]},
        {"headers": [(b"host", b"[fe80::1%25eth0]:8777")]},
        {"headers": [(b"host", b"my_broker")]},
        {"kind": "lifespan", "headers": ()},
        {"kind": "websocket"},
        {"headers": [HOST, (b"content-length", b"3")]},
        {"headers": [HOST, (b"transfer-encoding", b"Chunked")]},
    ],
)
async def test_what_http_allows_is_served(request_):
    assert await ask(**request_) == (True, [])


@pytest.mark.parametrize(
    "request_",
    [
        {"path": ""},
        {"kind": "websocket", "headers": ()},
        {"kind": "websocket", "headers": [HOST, HOST]},
        {"path": "b:443", "method": "CONNECT"},
        {"path": "", "method": "CONNECT"},
        {"path": "*"},
        {"path": "queues"},
        {"headers": ()},
        {"headers": [HOST, (b"content-length", b"3"), (b"transfer-encoding", b"chunked")]},
        {"headers": [HOST, (b"transfer-encoding", b"gzip, chunked")]},
        {"headers": [HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")]},
        {"headers": [HOST, (b"transfer-encoding", b"chunked")], "version": "1.0"},
        {"headers": [HOST, (b"content-length", b"3"), (b"content-length", b"3")]},
        {"headers": [HOST, (b"content-length", b"3, 3")]},
        {"headers": [HOST, (b"content-length", b"+3")]},
        {"path": "/healthz", "method": "CONNECT"},
        {"path": "http://b/healthz", "method": "CONNECT"},
        {"headers": [(b"host", b"")]},
        {"headers": [(b"host", b"b c")]},
        {"headers": [(b"host", b"a@b")]},
        {"headers": [(b"host", b"b/c")]},
        {"headers": [(b"host", b"b\n")]},
        {"headers": [HOST, HOST]},
        {"version": "1.0", "headers": [HOST, HOST]},
    ],
)
async def test_what_http_does_not_allow_is_400(request_):
    assert await ask(**request_) == (False, [400, None])


@pytest.mark.parametrize(
    ("request_", "is_served"),
    [
        ({"headers": [HOST, *[(b"x", b"")] * 99]}, True),
        ({"headers": [HOST, *[(b"x", b"")] * 100]}, False),
        # "GET" and "/", then "host: b" and "x: " with their ends: 4, 9 and 5 bytes.
        ({"headers": [HOST, (b"x", b"y" * (MAX_HEAD_BYTES - 18))]}, True),
        ({"headers": [HOST, (b"x", b"y" * (MAX_HEAD_BYTES - 17))]}, False),
        ({"headers": [HOST, (b"y" * (MAX_HEAD_BYTES - 16), b"")]}, False),
        ({"method": "G" * MAX_HEAD_BYTES}, False),
        ({"path": "/" * MAX_HEAD_BYTES}, False),
        ({"query": b"q" * MAX_HEAD_BYTES}, False),
    ],
)
async def test_a_head_beyond_16_kib_or_100_headers_is_431(request_, is_served):
    assert await ask(**request_) == ((True, []) if is_served else (False, [431, None]))
