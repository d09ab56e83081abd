"""Where and how a server listens, and what it bears; the same for every server."""

from __future__ import annotations

import socket
from collections.abc import Callable

import msgspec

from broker.serving.certificate import Certificate

BACKLOG = 1024
"""How many connections may wait to be accepted."""

IDLE_SECONDS = 5
"""How long a connection may be without a request, or a request without the end of its headers."""

MAX_HEAD_BYTES = 16 * 1024
"""How long a request line and its headers may be together."""

MAX_FIELDS = 100
"""How many headers a request may have."""

MAX_STREAMS = 100
"""How many requests may go on side by side over one connection with HTTP/2."""

PIECE_BYTES = 64 * 1024
"""How much of an answer is sent at once: the rest is not copied before its client has read."""


def _note_nothing(_: int) -> None:
    """Have nobody know."""


class Endpoint(msgspec.Struct, frozen=True):
    """A listening socket and how it is served."""

    listener: socket.socket
    """It remains the caller's to close."""
    certificate: Certificate | None
    """None: plain HTTP."""
    grace_seconds: float
    """How long requests in flight may take once the server drains."""
    max_connections: int
    """How many may be open at once; more wait to be accepted."""
    note_connections: Callable[[int], None] = _note_nothing
    """Is told how many are open whenever that changes, by a server that knows."""
