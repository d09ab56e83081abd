"""A listener of its own: a request a connection, for one path, answered by what answers routes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import h11
from broker import BrokerError, CannotListen, Handler, Request, Response, Unauthenticated

from broker_metrics.config import Address

PATH = "/metrics"

MOST = 32
"""How many there are at one time. One more takes the place of whoever has tried to ask for the
longest, so that who asks at once is answered; if all others have asked, it is hung up on."""

HEAD_SECONDS = 5.0
"""How long a client may take to ask."""

PATIENCE_SECONDS = 30.0
"""How long a client may take, from when it connects until it has its answer."""

MAX_HEAD_BYTES = 16 * 1024

_NO_NAME = Response(
    status=421,
    body=b"without a token there are metrics by an IP address or localhost only: "
    b"ask http://127.0.0.1/metrics with the port, or set plugins.metrics.token\n",
)
_NO_PATH = Response(status=404, body=b"there is nothing but /metrics\n")
_NO_METHOD = Response(status=405, body=b"GET it\n", headers=(("allow", "GET, HEAD"),))


class Listener:
    """Serves what a handler answers to `GET /metrics`.

    By any name only if told so: a page of a browser on this machine reaches whatever its own name
    is made to lead to (DNS rebinding), and `Host` tells that name.
    """

    def __init__(self, address: Address, handler: Handler, *, by_any_name: bool) -> None:
        self.address = address
        """Where it listens; of port 0, where it came to listen."""
        self._handler = handler
        self._by_any_name = by_any_name
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._unheard: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        """Who has not asked yet, the oldest first."""

    async def open(self) -> None:
        """Listen; raises CannotListen."""
        host, port = self.address
        try:
            self._server = await asyncio.start_server(self._begin, host, port)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise CannotListen(host, port, why, by="plugins.metrics.listen") from error
        self.address = Address(host, self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Hang up on everybody; harmless if it was never opened."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MOST:
            if not self._unheard:
                writer.close()
                return
            self._unheard.pop(next(iter(self._unheard))).cancel()
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(task)
        self._unheard[writer] = task
        task.add_done_callback(partial(self._end, writer))

    def _end(self, writer: asyncio.StreamWriter, task: asyncio.Task[None]) -> None:
        """Hang up, whatever is not sent yet; not in the task, which may be cancelled before it
        begins."""
        self._connections.discard(task)
        self._unheard.pop(writer, None)
        writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever takes too long, goes or speaks no HTTP is hung up on.
        with suppress(TimeoutError, OSError, h11.RemoteProtocolError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._answer(reader, writer)
                writer.close()
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        async with asyncio.timeout(HEAD_SECONDS):
            asked = await _hear(connection, reader)
        self._unheard.pop(writer, None)
        if not isinstance(asked, h11.Request):
            return
        request = _read(asked, peer=writer.get_extra_info("peername")[0])
        response = await self._ask(request)
        body = b"" if request.method == "HEAD" else response.body
        for event in (_head(response), h11.Data(body), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")

    async def _ask(self, request: Request) -> Response:
        # Browsers always send it; who speaks HTTP/1.0 need not.
        if not self._by_any_name and not _can_be_no_page(request.headers.get("host", "localhost")):
            return _NO_NAME
        if request.path != PATH:
            return _NO_PATH
        if request.method not in ("GET", "HEAD"):
            return _NO_METHOD
        try:
            return await self._handler(request)
        except BrokerError as error:
            headers: tuple[tuple[str, str], ...] = ()
            if isinstance(error, Unauthenticated) and error.challenge is not None:
                headers = (("www-authenticate", error.challenge),)
            return Response(status=error.status, body=f"{error}\n".encode(), headers=headers)


async def _hear(connection: h11.Connection, reader: asyncio.StreamReader) -> Any:
    """Return the first event, the request if the client sends one; raises RemoteProtocolError."""
    event = connection.next_event()
    while event is h11.NEED_DATA:
        connection.receive_data(await reader.read(MAX_HEAD_BYTES))
        event = connection.next_event()
    return event


def _read(asked: h11.Request, *, peer: str) -> Request:
    headers: Mapping[str, str] = {
        name.decode("latin1"): value.decode("latin1") for name, value in asked.headers
    }
    path = asked.target.decode("latin1").partition("?")[0]
    return Request(method=asked.method.decode(), path=path, headers=headers, peer=peer)


def _can_be_no_page(host: str) -> bool:
    """Return whether a `Host` is localhost or an IP address: no name that others make lead here."""
    try:
        name = urlsplit(f"//{host}").hostname
        return name == "localhost" or bool(ip_address(name or ""))
    except ValueError:
        return False


def _head(response: Response) -> h11.Response:
    headers = [*response.headers, ("content-length", str(len(response.body)))]
    if not any(name == "content-type" for name, _ in response.headers):
        headers.append(("content-type", "text/plain; charset=utf-8"))
    headers.append(("connection", "close"))
    return h11.Response(status_code=response.status, headers=headers)
