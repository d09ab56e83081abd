"""The load generator: it counts what was answered, and stops at whatever is no success."""

import socket
import threading
from contextlib import suppress

import pytest

from bench.load import Job, _body_of, run

OK = b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\n{}"


class Answering:
    """A server that answers each request with the next of some answers, the last one again."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.requests = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join()
        self._listener.close()

    def _serve(self):
        connection, _ = self._listener.accept()
        with connection, suppress(ConnectionError):  # clients may go without a word
            while request := connection.recv(1 << 16):
                self.requests.append(request)
                answer = self._answers[0]
                if len(self._answers) > 1:
                    self._answers.pop(0)
                for part in answer if isinstance(answer, list) else [answer]:
                    connection.sendall(part)
                if answer == b"":
                    return


def job(port, **options):
    return Job(port=port, path="/p", body=b"{}", connections=1, **options)


def test_it_counts_answers_after_the_warm_up():
    with Answering(OK) as server:
        result = run(job(server.port, answers=5, warm_up=3))
    assert result.rate > 0
    assert 0 < result.p50 <= result.p99
    # The last request was sent before it was known that enough had come.
    assert len(server.requests) == 9
    assert server.requests[0] == (
        b"POST /p HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
        b"content-length: 2\r\n\r\n{}" % server.port
    )


def test_at_a_rate_it_asks_nothing_before_it_is_due():
    with Answering(OK) as server:
        run(job(server.port, answers=1, rate=0.01))
    assert len(server.requests) == 1


def test_a_request_that_waits_for_a_connection_has_waited_since_it_was_due():
    with Answering(OK) as server:
        result = run(job(server.port, answers=100, rate=1e9))
    # All are due at once, and one after the other is answered.
    seconds = 100 / result.rate
    assert result.p50 > seconds / 10
    assert result.p99 > seconds * 9 / 10


def test_headers_of_its_own_are_sent_with_every_request():
    lease = b'{"messages":[{"receipt":"r1"}]}'
    leased = b"HTTP/1.1 200 \r\nContent-Length: %d\r\n\r\n%s" % (len(lease), lease)
    with Answering(leased, OK, leased) as server:
        headers = {"authorization": "Bearer t"}
        run(job(server.port, kind="lease and settle", answers=2, headers=headers))
    assert all(b"\r\nauthorization: Bearer t\r\n" in request for request in server.requests)


def test_what_is_leased_is_settled():
    lease = b'{"messages":[{"receipt":"r1"},{"receipt":"r2"}]}'
    leased = b"HTTP/1.1 200 \r\nContent-Length: %d\r\n\r\n%s" % (len(lease), lease)
    with Answering(leased, OK, leased) as server:
        run(job(server.port, kind="lease and settle", answers=2))
    asked, settled, _ = server.requests
    assert asked.startswith(b"POST /p ")
    assert settled.startswith(b"POST /messages/settle ")
    assert settled.endswith(b'{"ack":["r1","r2"]}')


@pytest.mark.parametrize(
    ("answer", "problem"),
    [(b"HTTP/1.1 503 \r\n\r\n", "503"), (b"", "the server closed a connection")],
)
def test_whatever_is_no_success_ends_the_run(answer, problem):
    with Answering(answer) as server, pytest.raises(RuntimeError, match=problem):
        run(job(server.port, answers=1))


@pytest.mark.parametrize("end", range(len(OK)))
def test_a_part_of_an_answer_is_none(end):
    assert _body_of(OK[:end]) is None
    assert _body_of(OK) == b"{}"
