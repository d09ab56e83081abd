"""The short way of the hot routes: plain ASGI instead of the framework, the same handlers.

What is not certainly a request to a hot route goes to the framework, whose answer stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from broker.client import Client
from broker.delivery import Scope
from broker.http import Route
from broker.routing import Match, RouteTable
from broker.translation import Translator


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
        response = await self._translator.answer(match.route, request, scope)
        headers = self._translator.headers(response, request)
        if response.stream is None:
            await client.take(response, headers)
        else:
            next_piece = partial(self._translator.next_piece, response.stream)
            await client.follow(next_piece, response, headers)
