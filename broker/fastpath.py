"""The short way of the hot routes: plain ASGI instead of the framework, the same handlers.

What is not certainly a request to a hot route goes to the framework, whose answer stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from broker.deadlines import Deadlines
from broker.delivery import Receive, Scope, Send
from broker.http import Response, Route
from broker.routing import Match, RouteTable
from broker.translation import Headers, Translator


class Fastpath:
    """Serves some routes. No other of the app behind it may match a request that one of these
    matches."""

    def __init__(self, translator: Translator, routes: Iterable[Route]) -> None:
        self._translator = translator
        self._routes = RouteTable(routes)

    def find(self, scope: Scope) -> Match | None:
        """Return the match of a request that goes this way, None if it does not."""
        if scope.get("root_path"):
            return None
        return self._routes.find(scope["method"], scope["path"])

    async def serve(self, client: Client, scope: Scope, match: Match, body: bytes) -> None:
        """Answer a request whose body is read."""
        request = self._translator.request(
            scope, path=scope["path"], params=match.params, body=body
        )
        if match.route.gives:
            client.watch()
        response = await self._translator.answer(match.route, match.name, request, scope)
        await client.take(response, self._translator.headers(response, request))


class Client:
    """Who waits for an answer; the work for one who does not is interrupted."""

    def __init__(self, receive: Receive, send: Send, answers: Deadlines[Client]) -> None:
        task = asyncio.current_task()
        assert task is not None, "ASGI servers run apps in tasks"
        self.receive = receive
        self.send = send
        self._task = task
        self._answers = answers
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

    async def _try_send(self, response: Response, headers: Headers) -> bool:
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        self._answers.add(self)
        try:
            await self.send(
                {"type": "http.response.start", "status": response.status, "headers": encoded}
            )
            await self.send({"type": "http.response.body", "body": response.body})
        except TimeoutError:
            return False  # the network's own; nobody is there
        else:
            return True
        finally:
            self._answers.remove(self)

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
