"""Bodies that are too much for a running server: too large, too many, too slow."""

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from served import HTTP_SERVERS, Served

from broker.bodies import MAX_LARGE_BYTES
from broker.limits import MAX_BATCH_BYTES

MIB = 1024 * 1024
CROWD = 200
CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
LAST = b"0\r\n\r\n"
SERVER_BYTES = MIB
"""More than a server holds of each connection, in buffers of its own."""


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def served(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("served")
    served = Served(directory, http_server=request.param, plugins=["auth_jwt"], anonymous="false")
    served.token = log_in(served)
    policy = {"name": "q", "max_message_bytes": MAX_BATCH_BYTES}
    ask(served, "/queues", json=policy).raise_for_status()
    yield served
    assert served.end() == 0
    assert "Traceback" not in served.log()


def log_in(served):
    password = next(word for line in served.screen["notices"] for word in line.split()[::-1])
    form = {"username": "admin", "password": password}
    return httpx.post(f"{served.url}/login", data=form, timeout=60).json()["access_token"]


def ask(served, path, **request):
    headers = {"authorization": f"Bearer {served.token}"}
    return httpx.post(served.url + path, headers=headers, timeout=60, **request)


def head(path, *headers, known=None):
    lines = [f"POST {path} HTTP/1.1", "host: b", "connection: close", *headers]
    if known:
        lines.append(f"authorization: Bearer {known.token}")
    return "\r\n".join([*lines, "", ""]).encode()


async def connect(served):
    connection = socket.socket()
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", served.port))
    return connection


async def read_to_the_end(connection):
    answer = b""
    try:
        while data := await asyncio.get_running_loop().sock_recv(connection, 65_536):
            answer += data
    except ConnectionError:
        pass  # what it answered before is here
    return answer


def memory(served, field):
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024


def forget_peak(served):
    Path(f"/proc/{served.process.pid}/clear_refs").write_text("5")


@pytest.mark.parametrize(
    ("path", "body", "is_known", "status"),
    [
        ("/queues/q/messages", f"content-length: {MAX_BATCH_BYTES + 1}", True, b"413"),
        ("/queues/q/messages", "content-length: 65537", False, b"401"),
        ("/queues", "content-length: 65537", True, b"413"),
        ("/login", "content-length: 65537", False, b"413"),
        ("/nowhere", "content-length: 1073741824", False, b"404"),
        ("/nowhere", "transfer-encoding: chunked", False, b"404"),
        ("/queues/q", "transfer-encoding: chunked", False, b"405"),
    ],
)
async def test_what_is_refused_by_its_headers_is_refused_without_its_body(
    served, path, body, is_known, status
):
    with await connect(served) as connection:
        request = head(path, body, known=is_known and served)
        await asyncio.get_running_loop().sock_sendall(connection, request)
        answer = await read_to_the_end(connection)

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(("length", "status"), [(65_537, b"401"), (MAX_BATCH_BYTES + 1, b"413")])
async def test_who_asks_whether_to_send_a_body_that_nobody_wants_is_not_told_to(
    served, length, status
):
    headers = ("expect: 100-continue", f"content-length: {length}")
    with await connect(served) as connection:
        request = head("/queues/q/messages", *headers)
        await asyncio.get_running_loop().sock_sendall(connection, request)
        answer = await read_to_the_end(connection)

    assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("path", ["/queues", "/login"])
async def test_a_chunked_body_is_refused_at_the_limit(served, path):
    loop = asyncio.get_running_loop()
    with await connect(served) as connection:
        await loop.sock_sendall(connection, head(path, "transfer-encoding: chunked") + CHUNK)
        await loop.sock_sendall(connection, b"1\r\nx\r\n")
        answer = await read_to_the_end(connection)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"the body exceeds 65536 bytes" in answer


@pytest.mark.parametrize(
    ("is_known", "answers"),
    [
        (True, {b"HTTP/1.1 503": CROWD - 2, b"HTTP/1.1 201": 2}),
        (False, {b"HTTP/1.1 401": CROWD}),
    ],
    ids=["known", "unknown"],
)
async def test_two_hundred_large_bodies_take_bounded_memory_and_small_ones_are_served(
    served, is_known, answers
):
    """Two of 16 MiB are what one may have of the memory for all."""
    go_on = asyncio.Event()
    got = []

    async def flood():
        loop = asyncio.get_running_loop()
        connection = await connect(served)
        start = head("/queues/q/messages", "transfer-encoding: chunked", known=is_known and served)
        with connection:
            answer = asyncio.ensure_future(read_to_the_end(connection))
            answer.add_done_callback(lambda done: got.append(done.result()[:12]))
            try:
                await loop.sock_sendall(connection, start)
                for _ in range(MAX_BATCH_BYTES // 65_536):
                    await loop.sock_sendall(connection, CHUNK)
                await go_on.wait()
                await loop.sock_sendall(connection, LAST)
            except OSError:
                pass  # it was refused
            await answer

    forget_peak(served)
    before = memory(served, "VmRSS")
    crowd = [asyncio.ensure_future(flood()) for _ in range(CROWD)]
    served_meanwhile = set()
    known = {"authorization": f"Bearer {served.token}"}
    async with httpx.AsyncClient(headers=known, timeout=60) as client:
        refused = CROWD - answers.get(b"HTTP/1.1 201", 0)
        while len(got) < refused or not served_meanwhile:
            small = await client.post(f"{served.url}/queues/q/messages", content=b"small")
            served_meanwhile.add(small.status_code)
    grown = memory(served, "VmHWM") - before
    go_on.set()
    await asyncio.gather(*crowd)

    assert Counter(got) == answers
    assert served_meanwhile == {201}
    assert grown < MAX_LARGE_BYTES + CROWD * SERVER_BYTES


@pytest.fixture
def both(tmp_path):
    """All servers at once, because to wait is what the test takes its time for."""
    names = [name for name in ("hypercorn", "granian") if find_spec(name)]
    started = []
    for name in names:
        directory = tmp_path / name
        directory.mkdir()
        started.append(Served(directory, http_server=name))
        for queue in ("q", "empty"):
            started[-1].run("queue", "create", queue)
    yield started
    for served in started:
        assert served.end() == 0
        assert "Traceback" not in served.log()


DRIPPING = head("/queues/q/messages", "content-length: 100")
SLOW = [
    DRIPPING,
    head("/queues/q/messages", "content-length: 16777216") + b"x" * 100_000,
    head("/queues/q/messages", "transfer-encoding: chunked") + CHUNK * 2,
    head("/queues", "content-length: 100"),
    head("/queues", "transfer-encoding: chunked"),
]
"""Beginnings of requests, for the short way and for the other."""


async def test_two_hundred_slow_bodies_are_408_within_15_seconds_and_nobody_waits_for_them(both):
    await asyncio.gather(*(bear_slow_bodies(served) for served in both))


async def bear_slow_bodies(served):
    loop = asyncio.get_running_loop()
    waits = []

    async def dawdle(connection, beginning):
        start = loop.time()
        await loop.sock_sendall(connection, beginning)
        answer = await read_to_the_end(connection)
        waits.append(loop.time() - start)
        return answer[:12]

    beginnings = SLOW * (CROWD // len(SLOW))
    connections = [await connect(served) for _ in beginnings]
    pairs = list(zip(connections, beginnings, strict=True))
    crowd = asyncio.gather(*(dawdle(*pair) for pair in pairs))
    slowest = 0.0
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        while not crowd.done():
            start = loop.time()
            small = await client.post("/queues/q/messages", content=b"small")
            slowest = max(slowest, loop.time() - start)
            assert small.status_code == 201
            for connection in (one for one, beginning in pairs if beginning is DRIPPING):
                with suppress(OSError):  # it was answered
                    connection.send(b"x")
            await client.post("/queues/empty/messages/lease", json={"wait": 1})

    assert set(await crowd) == {b"HTTP/1.1 408"}
    assert max(waits) < 15 + slowest  # which is the machine's own slowness
    for connection in connections:
        connection.close()
