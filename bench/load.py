"""The load generator: a process of its own that keeps connections busy, one request at a time each.

At a given rate it asks whether or not those before were answered, as clients do who know nothing
of each other. It reads one job as JSON from stdin and prints one result as JSON. It speaks just
enough HTTP/1.1, over epoll and without a framework, to take as little as it can of the cores that
it shares.
"""

from __future__ import annotations

import resource
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Generator, Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

Dialogue = Generator[bytes, bytes, None]
"""What one connection says; it is sent the body of each answer."""


EMPTY: Mapping[str, str] = MappingProxyType({})


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, and how often."""

    port: int
    kind: Literal["post", "lease and settle"] = "post"
    path: str
    body: bytes
    """What each connection posts to `path`, again and again."""
    headers: dict[str, str] = {}
    """What is sent beside the usual headers: credentials, for example."""
    connections: int
    rate: float | None = None
    """How many requests are due a second, of all connections together; None: each connection asks
    as soon as it was answered."""
    answers: int
    """How many come in all before the clock is stopped."""
    warm_up: int = 0
    """How many come in all before it is started."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job; times are seconds."""

    rate: float
    """Answers a second."""
    p50: float
    """From when a request was due, so that to wait for a free connection counts, too."""
    p99: float
    cpu: float
    """How many cores the generator itself kept busy."""


def run(job: Job) -> Result:
    """Do a job; raises RuntimeError for any answer that is not a success."""
    with select.epoll() as poll:
        connections = [
            Connection(job.port, _DIALOGUES[job.kind](job)) for _ in range(job.connections)
        ]
        by_number = {connection.number: connection for connection in connections}
        for connection in connections:
            poll.register(connection.number, select.EPOLLIN)
        try:
            return _measure(job, poll, by_number)
        finally:
            for connection in connections:
                connection.close()


def _measure(job: Job, poll: select.epoll, connections: dict[int, Connection]) -> Result:
    latencies: list[float] = []
    start, cpu = time.perf_counter(), cpu_seconds()
    pace = Pace(job.rate)
    for connection in connections.values():
        pace.add(connection)
    answered = -job.warm_up
    while answered < job.answers:
        for number in pace.wait(poll):
            latency = connections[number].advance()
            if latency is None:
                continue
            pace.add(connections[number])
            latencies.append(latency)
            answered += 1
            if answered == 0:
                latencies.clear()
                start, cpu = time.perf_counter(), cpu_seconds()
    seconds = time.perf_counter() - start
    latencies.sort()
    return Result(
        rate=answered / seconds,
        p50=latencies[len(latencies) // 2],
        p99=latencies[len(latencies) * 99 // 100],
        cpu=(cpu_seconds() - cpu) / seconds,
    )


class Pace:
    """When the connections ask: each at once, or whichever are free when a request is due."""

    def __init__(self, rate: float | None) -> None:
        self._gap_seconds = 1 / rate if rate else 0.0
        self._due = time.perf_counter()
        self._free: deque[Connection] = deque()

    def add(self, connection: Connection) -> None:
        """Take one that has nothing to wait for."""
        if not self._gap_seconds:
            connection.ask(time.perf_counter())
        else:
            self._free.append(connection)

    def wait(self, poll: select.epoll) -> list[int]:
        """Return the numbers of those who were sent something, maybe none, and let ask who may."""
        now = time.perf_counter()
        while self._free and self._due <= now:
            self._free.popleft().ask(self._due)
            self._due += self._gap_seconds
        if self._free:
            # Not by epoll, which counts in milliseconds.
            select.select([poll], [], [], max(0, self._due - time.perf_counter()))
        return [number for number, _ in poll.poll(0 if self._free else None)]


class Connection:
    """One connection and what it is waiting for."""

    def __init__(self, port: int, dialogue: Dialogue) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = self._socket.fileno()
        self._dialogue = dialogue
        self._request = next(dialogue)
        self._answer = b""
        self._due = 0.0

    def ask(self, due: float) -> None:
        """Send the next request, which was due at that time."""
        self._due = due
        self._socket.sendall(self._request)

    def advance(self) -> float | None:
        """Read; if the answer is whole, return how long it took since the request was due."""
        part = self._socket.recv(1 << 20)
        if not part:
            raise RuntimeError("the server closed a connection")
        self._answer += part
        body = _body_of(self._answer)
        if body is None:
            return None
        latency = time.perf_counter() - self._due
        self._answer = b""
        self._request = self._dialogue.send(body)
        return latency

    def close(self) -> None:
        """Go without a word."""
        self._socket.close()


def post(port: int, path: str, body: bytes, headers: Mapping[str, str] = EMPTY) -> bytes:
    """Return a request with a JSON body."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST {path} HTTP/1.1\r\n"
        f"host: 127.0.0.1:{port}\r\n"
        "content-type: application/json\r\n"
        f"{more}"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def repeat(request: bytes) -> Dialogue:
    """Say the same again and again."""
    while True:
        yield request


def _post(job: Job) -> Dialogue:
    return repeat(post(job.port, job.path, job.body, job.headers))


class _Leased(msgspec.Struct):
    receipt: str


class _Leases(msgspec.Struct):
    messages: list[_Leased]


def _lease_and_settle(job: Job) -> Dialogue:
    lease = post(job.port, job.path, job.body, job.headers)
    leases = msgspec.json.Decoder(_Leases)
    while True:
        found = leases.decode((yield lease)).messages
        if not found:
            raise RuntimeError("there is nothing left to lease")
        ack = msgspec.json.encode({"ack": [leased.receipt for leased in found]})
        yield post(job.port, "/messages/settle", ack, job.headers)


_DIALOGUES = {"post": _post, "lease and settle": _lease_and_settle}


def _body_of(answer: bytes) -> bytes | None:
    """Return the body of an answer, None if it is not whole; raises RuntimeError unless it is a
    success."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    if not answer.startswith(b"HTTP/1.1 20"):
        raise RuntimeError(answer.decode(errors="replace"))
    head = answer[: end + 2].lower()
    at = head.index(b"content-length: ") + 16
    length = int(head[at : head.index(b"\r", at)])
    body = answer[end + 4 :]
    return body if len(body) == length else None


def cpu_seconds() -> float:
    """Return how long this process kept a core busy until now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.stdout.buffer.write(
        msgspec.json.encode(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Job)))
    )
