"""Who waits for an answer: is sent it, is noticed to go, and is not waited for too long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from broker.deadlines import Deadlines
from broker.delivery import PIECE_SECONDS, Receive, Send
from broker.http import Response
from broker.translation import ANSWER_SECONDS, Headers


class Patience:
    """How long clients are waited for: to take a whole answer, or a piece of a stream."""

    def __init__(self) -> None:
        self.for_answers = Deadlines(ANSWER_SECONDS, Client.interrupt)
        self.for_pieces = Deadlines(PIECE_SECONDS, Client.interrupt)


class Client:
    """Who waits for an answer; the work for one who does not is interrupted."""

    def __init__(self, receive: Receive, send: Send, patience: Patience) -> None:
        task = asyncio.current_task()
        assert task is not None, "ASGI servers run apps in tasks"
        self.receive = receive
        self.send = send
        self._task = task
        self._patience = patience
        self._interrupts = 0
        self._watcher: asyncio.Task[None] | None = None

    async def serve(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work as long as the client is there."""
        try:
            await work
        except asyncio.CancelledError:
            # A handler that cancels itself ends without an answer, as one that was interrupted.
            if self._task.cancelling() > self._interrupts:
                raise
        finally:
            if self._watcher is not None:
                self._watcher.cancel()
                await asyncio.wait((self._watcher,))
            self._forget_interrupts()

    def recover(self) -> bool:
        """Go on after a cancellation; tell whether it was an interrupt, and may be survived."""
        if self._task.cancelling() > self._interrupts:
            return False
        self._forget_interrupts()
        return True

    async def take(self, response: Response, headers: Headers) -> None:
        """Send a response; undo what it gave away if the client did not get it."""
        if response.undelivered is None:
            await self._try_send(response, headers)
            return
        is_sent = False
        try:
            # To one who has gone already, nothing is given away.
            self.watch()
            await asyncio.sleep(0)
            is_sent = await self._try_send(response, headers)
        finally:
            if not is_sent:
                await response.undelivered()

    async def follow(
        self, next_piece: Callable[[], Awaitable[bytes]], response: Response, headers: Headers
    ) -> None:
        """Send a response and one piece after the other until there is none, for as long as each
        is taken in time."""
        self.watch()
        try:
            await self._send_piece(_start(response, headers))
            while piece := await next_piece():
                await self._send_piece(
                    {"type": "http.response.body", "body": piece, "more_body": True}
                )
            await self._send_piece({"type": "http.response.body", "body": b""})
        except TimeoutError:
            pass  # the network's own; nobody is there

    async def _send_piece(self, event: Any) -> None:
        # As `limit` does; a context manager for each piece would cost a tenth of all it takes.
        self._patience.for_pieces.add(self)
        try:
            await self.send(event)
        finally:
            self._patience.for_pieces.remove(self)

    async def _try_send(self, response: Response, headers: Headers) -> bool:
        try:
            with self._patience.for_answers.limit(self):
                await self.send(_start(response, headers))
                await self.send({"type": "http.response.body", "body": response.body})
        except TimeoutError:
            return False  # the network's own; nobody is there
        return True

    def watch(self) -> None:
        """Interrupt the work as soon as the client goes."""
        if self._watcher is None:
            self._watcher = asyncio.ensure_future(self._interrupt_when_gone())

    def interrupt(self) -> None:
        """Cancel the work, which is no failure of the server's."""
        self._interrupts += 1
        self._task.cancel()

    async def _interrupt_when_gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.interrupt()

    def _forget_interrupts(self) -> None:
        for _ in range(self._interrupts):
            self._task.uncancel()
        self._interrupts = 0


def _start(response: Response, headers: Headers) -> Any:
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    return {"type": "http.response.start", "status": response.status, "headers": encoded}
