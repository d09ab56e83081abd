"""Connections: idle ones, too many, more than there are files for."""

import resource
import select
import socket
import struct
from contextlib import ExitStack, contextmanager

import pytest
from raw import CLOSE, HEALTHZ, connect, drip, read_answer, status_of, talk
from served import HTTP_SERVERS, Served, begin

SECONDS = 5.9
"""The issue gives an idle connection 5 s; the rest is for a slow machine."""


@pytest.fixture(params=HTTP_SERVERS)
def start(request, tmp_path):
    started = []

    def start(kind=Served, **options):
        started.append(kind(tmp_path, http_server=request.param, **options))
        return started[-1]

    yield start
    for served in started:
        assert served.end() == 0
        assert "Traceback" not in served.log()


@pytest.fixture
def files():
    """Let this process have as many open files as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2_500:
        pytest.skip("the system allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ask(connection):
    connection.sendall(HEALTHZ + b"\r\n")
    return status_of(read_answer(connection))


def test_2000_idle_connections_keep_nobody_waiting_and_are_closed_after_5_s(start, files):
    served = start()
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(served)) for _ in range(2_000)]
        for connection in idle[::2]:
            assert ask(connection) == 200
        others = [status_of(talk(served, HEALTHZ + CLOSE)) for _ in range(20)]
        answers = drip(dict.fromkeys(idle, b""), seconds=SECONDS)

    assert others == [200] * 20
    assert set(answers) == {b""}


class Short(Served):
    """A broker that may open 128 files."""

    under = ("sh", "-c", 'ulimit -n 128; exec "$@"', "sh")


def publish(connection, queue):
    body = b'{"content": "x"}'
    begin(connection, f"/queues/{queue}/messages", body)
    connection.sendall(body)
    return status_of(read_answer(connection))


def test_connections_leave_files_to_the_storage_and_new_ones_come_when_others_went(start):
    served = start(Short)
    served.run("queue", "create", "q")
    with connect(served) as first, ExitStack() as crowd:
        assert ask(first) == 200
        for _ in range(300):
            crowd.enter_context(connect(served)).sendall(HEALTHZ)
        published = [publish(first, "q") for _ in range(20)]
        with connect(served) as late:
            late.sendall(HEALTHZ + b"\r\n")
            crowd.close()
            answer = read_answer(late)

    assert published == [201] * 20
    assert status_of(answer) == 200
    assert served.counts("q")["pending"] == 20
    assert len(served.log().splitlines()) <= 2


@contextmanager
def resetting(served):
    with connect(served) as connection:
        yield connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


LEASE = "/queues/q/messages/lease"
ENDS = {
    "without a byte": lambda connection: None,
    "in the headers": lambda connection: connection.sendall(HEALTHZ),
    "in the body": lambda connection: begin(connection, LEASE, b'{"wait": 20}'),
    "after an answer": ask,
    "after a refusal": lambda connection: connection.sendall(b"\0\r\n\r\n"),
    "before the answer": lambda connection: connection.sendall(HEALTHZ + CLOSE),
    "while it waits": lambda connection: wait_for_a_message(connection),
}


def wait_for_a_message(connection):
    begin(connection, LEASE, b'{"wait": 20}')
    connection.sendall(b'{"wait": 20}')


def test_no_more_connections_than_wanted_are_open_however_they_end(start):
    served = start(max_connections=3)
    served.run("queue", "create", "q")
    for end in ENDS.values():
        for opened in (connect, resetting):
            for _ in range(5):
                with opened(served) as connection:
                    end(connection)
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(served)) for _ in range(3)]
        assert [ask(connection) for connection in connections] == [200] * 3
        with connect(served) as fourth:
            fourth.sendall(HEALTHZ + b"\r\n")
            assert [ask(connection) for connection in connections * 10] == [200] * 30
            assert select.select([fourth], [], [], 0)[0] == []
            connections[0].close()
            assert status_of(read_answer(fourth)) == 200


def test_a_failed_handshake_gives_its_place_back(start):
    served = start(max_connections=2, tls="dev")
    for opened in (connect, resetting):
        for beginning in (b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"):
            for _ in range(5):
                with opened(served) as connection:
                    connection.sendall(beginning)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(connect(served)).sendall(b"\x16\x03\x01\x02\x00\x01")
    served.run("queue", "create", "q")

    assert "Traceback" not in served.log()
