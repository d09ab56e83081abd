"""Hostile and broken clients: a process of its own, until it is ended.

It reads a job as JSON from stdin, and prints a line once all its connections stand. Those that the
server ends are opened again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

import msgspec

from broker.limits import MAX_BATCH_BYTES

Kind = Literal[
    "idle", "kept alive", "slow heads", "slow bodies", "long heads", "long bodies", "bad tokens"
]

_START = b"POST /queues/q/messages HTTP/1.1\r\nhost: b\r\n"
_LINE = b"x-line: %s\r\n" % (b"x" * 30)
_SLICE_BYTES = 1 << 18


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Who does what to a server."""

    port: int
    kind: Kind
    connections: int
    rate: float
    """How many connections are opened, or requests sent, a second at most."""
    pause_seconds: float = 1
    """How long whoever is slow waits before the next byte."""
    content_bytes: int = 1000
    """How long a message is that comes with a bad token."""


async def run(job: Job) -> None:
    """Go on until this is cancelled; raises RuntimeError if something hostile is a success."""
    pace = _Pace(job.rate)
    opened = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(job.connections):
            tasks.create_task(_attack(job, pace, opened))
        for _ in range(job.connections):
            await opened.acquire()
        sys.stdout.write("\n")
        sys.stdout.flush()


async def _attack(job: Job, pace: _Pace, opened: asyncio.Semaphore) -> None:
    while True:
        await pace.take()
        # The server may end a connection, and in the middle of an answer, too.
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            async with _Connection(job, pace) as connection:
                opened.release()
                await _KINDS[job.kind](connection)


class _Pace:
    """Lets so many a second go on."""

    def __init__(self, rate: float) -> None:
        self._gap_seconds = 1 / rate
        self._due = 0.0

    async def take(self) -> None:
        """Wait for a turn; those that nobody took are lost."""
        now = asyncio.get_running_loop().time()
        self._due = max(now, self._due + self._gap_seconds)
        await asyncio.sleep(self._due - now)


class _Connection:
    """What one of the crowd has to the server."""

    def __init__(self, job: Job, pace: _Pace) -> None:
        self.job = job
        self._pace = pace

    async def __aenter__(self) -> _Connection:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.job.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def wait(self) -> None:
        """Send nothing more until the server ends the connection."""
        await self._reader.read()

    async def drip(self, start: bytes, part: bytes) -> None:
        """Send a start, and a part now and then, until the server ends the connection."""
        self._writer.write(start)
        ended = asyncio.ensure_future(self.wait())
        try:
            while not ended.done():
                self._writer.write(part)
                await asyncio.wait((ended,), timeout=self.job.pause_seconds)
            await ended
        finally:
            ended.cancel()

    async def be_refused(self, request: bytes) -> None:
        """Send a request, as often as there is a turn, until the server ends the connection;
        raises RuntimeError if it is a success."""
        while True:
            head = await self.ask(request)
            if head.startswith(b"http/1.1 2"):
                raise RuntimeError("the server took what it should have refused")
            if b"connection: close" in head:
                return
            await self._pace.take()

    async def ask(self, request: bytes) -> bytes:
        """Send a request; return the head of its answer, in small letters."""
        for start in range(0, len(request), _SLICE_BYTES):
            self._writer.write(request[start : start + _SLICE_BYTES])
            await self._writer.drain()
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length: ")[2].split(b"\r")[0]
        await self._reader.readexactly(int(length or 0))
        return head


async def _keep_alive(one: _Connection) -> None:
    await one.ask(b"GET /healthz HTTP/1.1\r\nhost: b\r\n\r\n")
    await one.wait()


_KINDS: dict[Kind, Callable[[_Connection], Awaitable[None]]] = {
    "idle": _Connection.wait,
    "kept alive": _keep_alive,
    "slow heads": lambda one: one.drip(_START, b"x-more: 1\r\n"),
    "slow bodies": lambda one: one.drip(_head(1 << 20), b" "),
    "long heads": lambda one: one.be_refused(_START + 2000 * _LINE + b"\r\n"),
    # Refused for the length that it announces.
    "long bodies": lambda one: one.be_refused(_head(MAX_BATCH_BYTES + 1) + bytes(_SLICE_BYTES)),
    "bad tokens": lambda one: one.be_refused(_with_bad_token(one.job.content_bytes)),
}


def _head(length: int, more: bytes = b"") -> bytes:
    return b"%scontent-type: application/json\r\n%scontent-length: %d\r\n\r\n" % (
        _START,
        more,
        length,
    )


def _with_bad_token(content_bytes: int) -> bytes:
    body = b'{"content":"%s"}' % (b"x" * content_bytes)
    return _head(len(body), b"authorization: Bearer none.at.all\r\n") + body


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Job)))
