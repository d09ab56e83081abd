"""What clients send of queues."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from broker import QueueName, QueuePolicy, Seconds, StateFilter
from broker.builtin.rest.wire import Fields, PageSize

QueueTag = Annotated[str, Meta(pattern=r"^(\*|\"v[1-9][0-9]{0,17}\")\Z")]


class NewQueue(QueuePolicy, frozen=True, kw_only=True):
    """A queue to be made: its name, and whatever of its policy is not the default."""

    name: QueueName
    """By which it is known from then on."""


class Creating(Fields, frozen=True, kw_only=True):
    """The HTTP headers by which a request depends on how a queue is."""

    if_match: QueueTag | None = msgspec.field(default=None, name="If-Match")
    """Only if this is the queue's `ETag`; `*`: only if there is one."""
    if_none_match: Literal["*"] | None = msgspec.field(default=None, name="If-None-Match")
    """`*`: only if there is no queue of this name."""


class Changing(Fields, frozen=True, kw_only=True):
    """The same, where the queue must be there."""

    if_match: QueueTag | None = msgspec.field(default=None, name="If-Match")
    """Only if this is the queue's `ETag`; `*`: whatever it is."""


class ListOptions(Fields, frozen=True, kw_only=True):
    """The query string of the list of queues."""

    limit: PageSize = 100
    """At most so many."""
    after: QueueName | None = None
    """Only queues whose names come after this one."""
    prefix: Annotated[str, Meta(max_length=255, pattern=r"^[A-Za-z0-9._-]*\Z")] = ""
    """Only queues whose names begin so."""


class Purge(Fields, frozen=True, kw_only=True):
    """Which messages of a queue are removed; `older_than` counts since they were finished."""

    states: Annotated[list[StateFilter], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["pending"]
    )
    """Only messages in one of these states."""
    older_than: Seconds | None = None
    """Only messages that were processed or failed so many seconds ago, or more; null: however
    long."""


ENDED = {"type": "array", "items": {"enum": ["processed", "failed"]}}
AgedPurge = Annotated[
    Purge,
    Meta(
        extra_json_schema={
            "if": {"properties": {"older_than": {"type": "number"}}, "required": ["older_than"]},
            "then": {"properties": {"states": ENDED}, "required": ["states"]},
        }
    ),
]
"""A purge, and what JSON Schema can say of it: only what has ended has an age."""
