"""SIGTERM while clients stream, wait and idle: all are told, nobody is waited for in vain."""

import http.client
import signal
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import pytest
from dripping import DRIPPING
from http2 import Http2Client
from raw import trust
from served import HTTP_SERVERS, Served, begin, read_all

STREAMS, POLLS, IDLE, PUBLISHERS = 50, 20, 50, 8
GRACE = 5
JSON = {"content-type": "application/json"}
END = b'event: end\ndata: {"reason":"shutdown"}\n\n'


@pytest.fixture(params=HTTP_SERVERS)
def serve(request, tmp_path):
    started = []

    def serve(**options):
        started.append(Served(tmp_path, http_server=request.param, **options))
        return started[0]

    yield serve
    for served in started:
        served.end(signal.SIGKILL)  # if it is still there


class Clients:
    """Opens connections that are closed at the end."""

    def __init__(self, served, stack):
        self.context = trust(served) if served.url.startswith("https") else None
        self._served = served
        self._stack = stack

    def connect(self, source="127.0.0.1"):
        address = ("127.0.0.1", self._served.port)
        connection = socket.create_connection(address, timeout=60, source_address=(source, 0))
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_hostname="127.0.0.1")
        return self._stack.enter_context(connection)

    def stream(self, path, source="127.0.0.1"):
        """Open a stream over HTTP/1.1; return when it has begun."""
        connection = self.connect(source)
        connection.sendall(b"GET %s HTTP/1.1\r\nhost: b\r\n\r\n" % path.encode())
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200"), path
        return connection

    def begin_publishing(self, pool):
        """Publish until nobody takes it any more; return what will be how many got a 201."""
        return [pool.submit(self._publish) for _ in range(PUBLISHERS)]

    def _publish(self):
        published, refused = 0, 0
        while refused < 100:
            connection = self._client()
            try:
                while True:
                    connection.request("POST", "/queues/q/messages", b'{"content": "x"}', JSON)
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status != 201:
                        assert answer.status == 503
                        break
                    published += 1
            except ConnectionRefusedError:
                return published
            except (http.client.HTTPException, OSError):
                refused += 1
            finally:
                connection.close()
        return published

    def readiness(self):
        """Ask a new connection, as a load balancer does."""
        connection = self._client()
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        finally:
            connection.close()

    def _client(self):
        if self.context is None:
            return http.client.HTTPConnection("127.0.0.1", self._served.port, timeout=30)
        return http.client.HTTPSConnection(
            "127.0.0.1", self._served.port, timeout=30, context=self.context
        )


@pytest.fixture
def clients():
    with ExitStack() as stack:
        yield lambda served: Clients(served, stack)


def what_came(connection):
    """Read what is there already."""
    connection.settimeout(0)
    came = b""
    with suppress(BlockingIOError, ssl.SSLWantReadError):
        while part := connection.recv(65_536):
            came += part
    connection.settimeout(60)
    return came


def read_and_close(connection):
    with connection:
        return read_all(connection)


def wait_for_end(served):
    """Return the exit code, and how long it took since the signal."""
    began = time.monotonic()
    code = served.end()
    return code, time.monotonic() - began


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_all_who_stream_wait_or_idle_are_told_and_nothing_acknowledged_is_lost(serve, clients, tls):
    served = serve(
        plugins=["sse"],
        shutdown_seconds=GRACE,
        unready_seconds=2,
        **({"tls": "dev"} if tls else {}),
    )
    crowd = clients(served)
    verify = crowd.context or False
    with httpx.Client(base_url=served.url, verify=verify) as client:
        for queue in ("q", "empty"):
            client.post("/queues", json={"name": queue}).raise_for_status()
    streams = [
        crowd.stream("/events?queue=empty", f"127.0.0.{2 + number % 2}")
        for number in range(STREAMS // (1 + tls))
    ]
    busy = crowd.stream("/events?queue=q", "127.0.0.4")
    polls = [crowd.connect() for _ in range(POLLS)]
    for connection in polls:
        begin(connection, "/queues/empty/messages/lease", b'{"wait": 20}')
        connection.sendall(b'{"wait": 20}')
    several = []
    for _ in range(5 if tls else 0):
        with_http2 = Http2Client(served.port, trust(served))
        ids = [with_http2.open("GET", "/events?queue=empty") for _ in range(5)]
        assert with_http2.until(lambda c=with_http2, n=ids: set(c.bodies) >= set(n))
        several.append(with_http2)
    idle = [crowd.connect() for _ in range(IDLE)]
    with ThreadPoolExecutor(PUBLISHERS + 1) as pool:
        publishers = crowd.begin_publishing(pool)
        reading = pool.submit(read_and_close, busy)
        assert crowd.readiness() == 200
        began = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        while crowd.readiness() == 200:
            pass
        assert not any(END in what_came(connection) for connection in streams)
        assert not any(publisher.done() for publisher in publishers)
        answers = [read_and_close(connection) for connection in streams]
        for one in several:
            one.read_to_the_end()
            one.socket.close()
        waited = [read_and_close(connection) for connection in polls]
        for connection in idle:
            connection.close()
        code = served.process.wait()
        seconds = time.monotonic() - began
        published = sum(publisher.result() for publisher in publishers)
        answers.append(reading.result())

    assert code == 0, served.log()
    assert seconds <= 2 + GRACE + 2
    assert "Traceback" not in served.log()
    for answer in answers:
        assert answer.endswith(b"\r\n0\r\n\r\n"), answer[-200:]
        assert END in answer
    for one in several:
        assert one.ended == set(one.bodies)
        for body in one.bodies.values():
            assert body.endswith(END), body[-300:]
    assert {answer.rpartition(b"\n")[2] for answer in waited} == {b'{"messages":[],"paused":false}'}
    served.process.stdout.close()
    served.start()
    with httpx.Client(base_url=served.url, verify=verify) as client:
        counts = client.get("/queues/q").json()["counts"]

    assert counts["pending"] == published > 0


def test_a_thousand_streams_end_with_a_word(serve, clients):
    served = serve(
        plugins=["sse"], shutdown_seconds=GRACE, broker={"max_streams_per_identity": 500}
    )
    crowd = clients(served)
    streams = [crowd.stream("/events", f"127.0.0.{1 + number % 2}") for number in range(1000)]
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(wait_for_end, served)
        answers = [read_all(connection) for connection in streams]
        code, seconds = ending.result()

    assert code == 0, served.log()
    assert seconds <= GRACE + 2
    assert all(answer.endswith(b"\r\n0\r\n\r\n") and END in answer for answer in answers)


@pytest.fixture
def dripping(install, site, monkeypatch):
    install("dripping", DRIPPING)
    monkeypatch.setenv("PYTHONPATH", str(site.directory))


@pytest.mark.usefixtures("dripping")
def test_streams_that_nobody_reads_do_not_keep_the_broker(serve, clients):
    served = serve(plugins=["dripping"], shutdown_seconds=1)
    crowd = clients(served)
    for _ in range(20):
        crowd.stream("/drip?size=4096")
    code, seconds = wait_for_end(served)

    assert code == 0, served.log()
    assert seconds <= 1 + 2
    assert "Traceback" not in served.log()


@pytest.mark.usefixtures("dripping")
def test_a_second_signal_ends_it_at_once(serve, clients):
    served = serve(plugins=["dripping"], shutdown_seconds=600)
    crowd = clients(served)
    for _ in range(3):
        crowd.stream("/drip?size=4096")
    reading = crowd.stream("/drip")
    served.process.send_signal(signal.SIGTERM)
    assert b"shutdown" in read_all(reading)
    code, seconds = wait_for_end(served)

    assert code == 0, served.log()
    assert seconds <= 2
    assert "Traceback" not in served.log()
