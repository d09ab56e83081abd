"""What messages hold."""

from __future__ import annotations

from base64 import b64encode

import msgspec
from broker import Message

from broker_graphql.execution import Execution
from broker_graphql.fields import Resolver


class Header(msgspec.Struct, frozen=True):
    """What the sender of a message said beside its body."""

    name: str
    value: str


def content(execution: Execution, message: Message) -> str | None:
    """Return the body of a message as text."""
    execution.count_content(len(message.body))
    try:
        return message.body.decode()
    except UnicodeDecodeError:
        return None


def content_base64(execution: Execution, message: Message) -> str:
    """Return the body of a message, whatever it is."""
    execution.count_content(len(message.body))
    return b64encode(message.body).decode()


def headers(_: Execution, message: Message) -> list[Header]:
    """Return what the sender of a message said beside."""
    return [Header(name, value) for name, value in message.headers.items()]


CONTENTS: dict[str, Resolver] = {
    "Message.content": content,
    "Message.contentBase64": content_base64,
    "Message.headers": headers,
    "PlainMessage.content": content,
}
