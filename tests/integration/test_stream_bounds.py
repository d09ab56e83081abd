"""What a client of a stream may do, whatever speaks HTTP: who is gone or does not read is let go."""

import socket
from contextlib import ExitStack

import httpx
import pytest
from dripping import DRIPPING
from h2.events import DataReceived
from http2 import Http2Client
from raw import talk, trust
from served import HTTP_SERVERS, Served, read_all

PATHS = ("/drip", "/slow-drip")
"""The short way, and through Quart."""


@pytest.fixture(params=HTTP_SERVERS)
def serve(request, tmp_path, install, site, monkeypatch):
    install("dripping", DRIPPING)
    monkeypatch.setenv("PYTHONPATH", str(site.directory))
    with ExitStack() as stack:

        def serve(*, piece_seconds=None, heartbeat_ms=None, **options):
            if piece_seconds is not None:
                monkeypatch.setenv("DRIPPING_PIECE_SECONDS", str(piece_seconds))
            if heartbeat_ms is not None:
                monkeypatch.setenv("DRIPPING_HEARTBEAT_MS", str(heartbeat_ms))
            served = Served(tmp_path, plugins=["dripping"], http_server=request.param, **options)
            stack.callback(served.end)
            return served

        yield serve


@pytest.fixture
def opened():
    """Open a stream over HTTP/1.1; it is closed at the end."""
    with ExitStack() as stack:

        def opened(served, path, *, context=None, version="1.1", more=b"", room=None):
            connection = socket.socket()
            if room is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            connection.settimeout(60)
            connection.connect(("127.0.0.1", served.port))
            if context is not None:
                connection = context.wrap_socket(connection, server_hostname="127.0.0.1")
            stack.enter_context(connection)
            connection.sendall(f"GET {path} HTTP/{version}\r\nhost: b\r\n\r\n".encode() + more)
            assert b" 200 " in connection.recv(20)
            return connection

        yield opened


def told(served, verify=False):
    return httpx.get(f"{served.url}/drips", verify=verify).json()


def until_gone(served, count, verify=False):
    """Ask again until all streams are closed; each question lets the broker work."""
    with httpx.Client(base_url=served.url, verify=verify) as client:
        for _ in range(100_000):
            now = client.get("/drips").json()
            if (now["open"], now["closed"]) == (0, count):
                return now
    raise AssertionError(now)


def test_who_never_reads_is_let_go_and_little_is_kept_for_them(serve, opened):
    served = serve(piece_seconds=1)
    for path in PATHS:
        opened(served, f"{path}?size=4096")
        opened(served, f"{path}?size=4096", room=4096)
    sent = until_gone(served, 4)["sent"]

    assert sent < 4 * 512 * 1024


def test_over_tls_too(serve, opened):
    served = serve(piece_seconds=1, tls="dev")
    context = trust(served)
    for path in PATHS:
        opened(served, f"{path}?size=4096", context=context)
    sent = until_gone(served, 2, context)["sent"]

    assert sent < 2 * 1024 * 1024


class Stubborn(Http2Client):
    """Lets some streams send no more."""

    stuck = ()

    def _take(self, event):
        if isinstance(event, DataReceived) and event.stream_id in self.stuck:
            self.h2.increment_flow_control_window(event.flow_controlled_length)
            return
        super()._take(event)


def test_over_http2_one_who_takes_no_more_of_a_stream_goes_on_with_the_others(serve):
    served = serve(piece_seconds=1, tls="dev")
    with Stubborn(served.port, trust(served), window=65_535) as client:
        stuck = client.open("GET", "/drip?size=4096")
        client.stuck = {stuck}
        read = client.open("GET", "/drip?size=4096")
        assert client.until(lambda: told(served, trust(served))["closed"] == 1)
        before = len(client.bodies[read])
        assert client.until(lambda: len(client.bodies[read]) > before + 1024 * 1024)
    until_gone(served, 2, trust(served))


def test_an_idle_stream_outlives_what_ends_an_idle_connection(serve, opened):
    """Nothing is sent for longer than a connection may be without a request: then a heartbeat."""
    served = serve(heartbeat_ms=6_000)
    streams = [opened(served, path) for path in PATHS]
    for connection in streams:
        came = b""
        while b": hb\n\n" not in came:
            part = connection.recv(1_000)
            assert part, came
            came += part

    assert told(served)["open"] == 2


@pytest.mark.parametrize("path", PATHS)
def test_who_asks_for_something_else_meanwhile_and_goes_is_let_go(serve, opened, path):
    served = serve()
    connection = opened(
        served, f"{path}?size=4096", more=b"GET /healthz HTTP/1.1\r\nhost: b\r\n\r\n" * 50
    )
    connection.close()

    until_gone(served, 1)


@pytest.mark.parametrize("path", PATHS)
def test_who_sends_no_more_is_gone(serve, opened, path):
    """As with every request: whether it still reads, nobody can tell from one who is gone."""
    served = serve()
    connection = opened(served, path)
    connection.shutdown(socket.SHUT_WR)

    read_all(connection)
    until_gone(served, 1)


@pytest.mark.parametrize("path", PATHS)
def test_a_client_of_http_1_0_reads_to_the_end_of_the_connection(serve, opened, path):
    served = serve()
    connection = opened(served, path, version="1.0")
    served.process.terminate()
    answer = read_all(connection)

    assert b"chunked" not in answer
    assert answer.endswith(b"\r\n\r\nevent: end\ndata: shutdown\n\n")


def test_to_look_at_the_headers_of_a_hot_route_is_no_stream(serve):
    served = serve()
    answer = talk(served, b"HEAD /drip HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n")

    assert b" 405 " in answer.splitlines()[0]
    assert told(served)["closed"] == 0
