"""Whose request it is that a proxy passes on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from broker.addresses import Address, Network, read_address
from broker.delivery import ASGIApp, Receive, Scope, Send

FURTHEST = 100
"""How many addresses are looked at, from the nearest on: more than there are proxies in a row."""

_ADDRESS_AND_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([^\]]*)\](?::[0-9]{1,5})?")


class BehindProxies:
    """An ASGI layer that takes a client's address from the proxies that are trusted to tell it.

    Each of them appends to X-Forwarded-For whose connection it had, so that nobody in front of
    them can change the end of it: the client is the last one there who is no such proxy.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        if scope.get("client"):
            nearest = read_address(scope["client"][0])
            if nearest is not None and self._trusts(nearest):
                client = str(self._client(nearest, scope))
                scope = {**scope, "client": (client, 0)}  # what port it has, nobody tells
        await self._app(scope, receive, send)

    def _client(self, nearest: Address, scope: Scope) -> Address:
        """Return who is the first, from the broker on, that is not trusted; else the last that
        is told."""
        for text in islice(_told(scope), FURTHEST):
            address = _read(text)
            if address is None:
                break
            nearest = address
            if not self._trusts(nearest):
                break
        return nearest

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _told(scope: Scope) -> Iterator[str]:
    """Yield what X-Forwarded-For says, the last first; a long one is not read to its beginning."""
    lines = [value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
    for line in reversed(lines):
        start = len(line)
        while start >= 0:
            end, start = start, line.rfind(b",", 0, start)
            yield line[start + 1 : end].decode("latin1").strip(" \t")


def _read(text: str) -> Address | None:
    """Return the address in one of the forms in which proxies write it."""
    found = _ADDRESS_AND_PORT.fullmatch(text)
    return read_address(text if found is None else found[1] or found[2])
