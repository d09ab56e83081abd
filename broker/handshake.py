"""What a WebSocket begins with, for the plugins whose blueprints serve one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from broker.http import Request

MESSAGE_BOUND = "broker.message_bound"
"""The key in an ASGI scope under which a server leaves the bound that it holds messages to."""

HANDSHAKE = "broker.handshake"
"""The key in an ASGI scope under which a WebSocket's handler finds its handshake."""

MAX_FIRST_BYTES = 8 * 1024
"""How large a message may be until its handler takes more: enough for who sends credentials."""


class MessageBound(msgspec.Struct):
    """How large a message may be: its handler says so, its server looks as the message comes."""

    size: int = MAX_FIRST_BYTES
    """Bytes; in a text, those beyond ASCII may count as one each."""


class Handshake(msgspec.Struct, frozen=True):
    """The request of a client that asked for a WebSocket, and how large its messages may be."""

    request: Request
    """What the client asked with; it has no body."""
    messages: MessageBound
    """Set its `size` to take larger messages."""


def read_handshake(scope: Mapping[str, Any]) -> Handshake:
    """Return the handshake of a WebSocket: `quart.websocket.scope` is the scope."""
    handshake: Handshake = scope[HANDSHAKE]
    return handshake
