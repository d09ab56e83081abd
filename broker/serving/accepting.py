"""Accepting connections, no more at once than there is room for."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

RETRY_SECONDS = 1
"""How long to wait when the system has nothing left for one more connection."""

logger = logging.getLogger("broker.server")


class Acceptor:
    """Serves every connection in a task of its own; those that find no room wait in the backlog."""

    def __init__(
        self,
        listener: socket.socket,
        most: int,
        serve: Callable[[socket.socket], Awaitable[None]],
        note: Callable[[int], None],
    ) -> None:
        """Accept from `listener`; `serve` owns the connection that it gets, and `note` is told how
        many there are whenever that changes."""
        listener.setblocking(False)
        self._listener = listener
        self._room = asyncio.Semaphore(most)
        self._serve = serve
        self._note = note
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_short = False

    async def run(self) -> None:
        """Accept until this is cancelled."""
        self._note(len(self._tasks))
        while True:
            await self._room.acquire()
            connection = await self._next()
            task = asyncio.create_task(self._serve_alone(connection))
            self._tasks.add(task)
            task.add_done_callback(self._end)
            self._note(len(self._tasks))
            # Or a crowd that comes at once would keep all others from being served.
            await asyncio.sleep(0)

    async def finish(self, grace_seconds: float) -> None:
        """Wait for the connections that are open; cancel what is left of them after the grace, or
        when this is cancelled."""
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=grace_seconds)
        finally:
            self.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def cancel(self) -> None:
        """Cut all connections off."""
        for task in self._tasks:
            task.cancel()

    async def _next(self) -> socket.socket:
        while True:
            try:
                connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            except ConnectionAbortedError:
                continue
            except OSError as error:  # no files, or no memory
                if not self._is_short:
                    logger.warning("no connection can be accepted for now: %s", error.strerror)
                self._is_short = True
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._is_short = False
                # asyncio does so for what it accepted itself. Without it an answer in two parts
                # waits 40 ms for the client to acknowledge the first.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connection

    async def _serve_alone(self, connection: socket.socket) -> None:
        try:
            await self._serve(connection)
        except Exception:  # isolates one connection from all others
            logger.exception("error in a connection")

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._note(len(self._tasks))
        self._room.release()
