"""Subscribers to events, and who publishes what they are told of: a process of its own.

It reads one job as JSON from stdin, prints a line once all subscriptions stand, and then one result
as JSON. Like the load generator it takes as little as it can of the cores that it shares: of events
it reads no more than their names.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import Counter
from contextlib import ExitStack, closing
from typing import NoReturn

import msgspec

from bench.load import Connection, Pace, cpu_seconds, post, repeat

MARK = b"event: message.published\n"
"""What is counted."""

_TICKS = 10_000
"""Into how many parts of a second latencies are sorted."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Who listens, and what is published meanwhile."""

    port: int
    subscribers: int
    path: str = "/events"
    reads: bool = True
    """Whether the subscribers read anything but that they are welcome."""
    publishers: int = 0
    """How many connections publish, each one message at a time; without any it only listens, until
    it is ended."""
    publish_path: str = "/queues/q/messages"
    body: bytes = b""
    """What is published, again and again; each time brings one event to each subscriber."""
    rate: float | None = None
    """How many messages are due a second; None: each publisher publishes as soon as everybody was
    told of what all of them published before."""
    seconds: float = 0
    warm_up: float = 0
    """How many seconds it goes on before the clock is started."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job; times are seconds."""

    told: int
    """How many events came, to all subscribers together."""
    rate: float
    """That a second."""
    p50: float
    """From when a publish was due to when a subscriber was told of it."""
    p99: float
    cpu: float
    """How many cores this process kept busy."""


def run(job: Job) -> Result:
    """Do a job; raises RuntimeError if a publish fails or a subscription ends."""
    with ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        audience = stack.enter_context(closing(_Audience(poll)))
        audience.subscribe(job)
        sys.stdout.write("\n")
        sys.stdout.flush()
        if not job.publishers:
            audience.listen()
        publishers = stack.enter_context(closing(_Publishers(job, poll, audience)))
        publishers.publish(job.warm_up)
        audience.latencies.clear()
        start, cpu = time.perf_counter(), cpu_seconds()
        publishers.publish(job.seconds)
        seconds = time.perf_counter() - start
        return Result(
            told=audience.latencies.total(),
            rate=audience.latencies.total() / seconds,
            p50=_quantile(audience.latencies, 0.50),
            p99=_quantile(audience.latencies, 0.99),
            cpu=(cpu_seconds() - cpu) / seconds,
        )


class _Audience:
    """Everybody who listens."""

    def __init__(self, poll: select.epoll) -> None:
        self.latencies: Counter[int] = Counter()
        self._poll = poll
        self._by_number: dict[int, _Subscriber] = {}
        self._published: list[float] = []
        self._waits = 0

    def subscribe(self, job: Job) -> None:
        """Come, all of them; raises RuntimeError if the server does not let one in."""
        request = f"GET {job.path} HTTP/1.1\r\nhost: 127.0.0.1:{job.port}\r\n\r\n".encode()
        for _ in range(job.subscribers):
            subscriber = _Subscriber(job.port, request)
            self._by_number[subscriber.number] = subscriber
        for subscriber in self._by_number.values():
            subscriber.read_head()
            if job.reads:
                self._poll.register(subscriber.number, select.EPOLLIN)

    def listen(self) -> NoReturn:
        """Read for ever."""
        while True:
            for number, _ in self._poll.poll():
                self.read(number)

    @property
    def waits(self) -> bool:
        """Whether somebody was not told of something yet."""
        return self._waits > 0

    def expect(self, due: float) -> None:
        """Take it that everybody shall be told of what is published now, and was due then.

        That is in the order in which it was published, but for what is published at one time over
        several connections, between which it makes no difference."""
        self._published.append(due)
        self._waits += len(self._by_number)

    def read(self, number: int) -> None:
        """Read what a subscriber was sent."""
        subscriber = self._by_number[number]
        count = subscriber.count_events()
        if not count:
            return
        now = time.perf_counter()
        for due in self._published[subscriber.told : subscriber.told + count]:
            self.latencies[int((now - due) * _TICKS)] += 1
        subscriber.told += count
        self._waits -= count

    def close(self) -> None:
        """Leave without a word."""
        for subscriber in self._by_number.values():
            subscriber.close()


class _Subscriber:
    """One connection that is told of events."""

    __slots__ = ("_socket", "_tail", "number", "told")

    def __init__(self, port: int, request: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.sendall(request)
        self._tail = b""
        self.number = self._socket.fileno()
        self.told = 0

    def read_head(self) -> None:
        """Wait for the head of the answer; raises RuntimeError unless it is a success."""
        head = b""
        while b"\r\n\r\n" not in head:
            part = self._socket.recv(1 << 16)
            head += part
            if not part or not b"HTTP/1.1 200".startswith(head[:12]):
                raise RuntimeError(head.decode(errors="replace"))

    def count_events(self) -> int:
        """Read; return how many events came; raises RuntimeError at the end."""
        part = self._socket.recv(1 << 16)
        if not part:
            raise RuntimeError(f"a subscription ended: {self._tail!r}")
        text = self._tail + part
        self._tail = text[1 - len(MARK) :]
        return text.count(MARK)

    def close(self) -> None:
        self._socket.close()


class _Publisher(Connection):
    """One connection that publishes."""

    def __init__(self, job: Job, audience: _Audience) -> None:
        super().__init__(job.port, repeat(post(job.port, job.publish_path, job.body)))
        self._audience = audience
        self.waits = False

    def ask(self, due: float) -> None:
        """Publish what was due at that time."""
        self.waits = True
        self._audience.expect(due)
        super().ask(due)

    def advance(self) -> float | None:
        """Read; if it is published, return how long that took."""
        seconds = super().advance()
        self.waits = seconds is None
        return seconds


class _Publishers:
    """Everybody who publishes."""

    def __init__(self, job: Job, poll: select.epoll, audience: _Audience) -> None:
        self._rate = job.rate
        self._poll = poll
        self._audience = audience
        publishers = [_Publisher(job, audience) for _ in range(job.publishers)]
        self._by_number = {publisher.number: publisher for publisher in publishers}
        for number in self._by_number:
            poll.register(number, select.EPOLLIN)

    def publish(self, seconds: float) -> None:
        """Publish for some time, and wait until everybody was told of everything."""
        end = time.perf_counter() + seconds
        if self._rate is None:
            while (now := time.perf_counter()) < end:
                for publisher in self._by_number.values():
                    publisher.ask(now)
                self._settle()
            return
        pace = Pace(self._rate)
        for publisher in self._by_number.values():
            pace.add(publisher)
        while time.perf_counter() < end:
            for publisher in self._read(pace.wait(self._poll)):
                pace.add(publisher)
        self._settle()

    def close(self) -> None:
        """Leave without a word."""
        for publisher in self._by_number.values():
            publisher.close()

    def _settle(self) -> None:
        while self._audience.waits or any(one.waits for one in self._by_number.values()):
            self._read([number for number, _ in self._poll.poll()])

    def _read(self, numbers: list[int]) -> list[_Publisher]:
        """Read whatever came; return those who have published."""
        free = []
        for number in numbers:
            publisher = self._by_number.get(number)
            if publisher is None:
                self._audience.read(number)
            elif publisher.advance() is not None:
                free.append(publisher)
        return free


def _quantile(latencies: Counter[int], share: float) -> float:
    """Return the seconds within which so many were told."""
    most, told = share * latencies.total(), 0
    for ticks, count in sorted(latencies.items()):
        told += count
        if told >= most:
            return (ticks + 1) / _TICKS
    return 0.0


if __name__ == "__main__":
    found = run(msgspec.json.decode(sys.stdin.buffer.read(), type=Job))
    sys.stdout.buffer.write(msgspec.json.encode(found))
