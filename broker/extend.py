"""The other things that a plugin can provide: transports, interceptors, observers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from broker.auth import Identity
from broker.http import Route
from broker.models import NewMessage
from broker.provider import Provider

if TYPE_CHECKING:
    from quart import Blueprint

    from broker.storage import Capability

EventKind = Literal[
    "queue.created",
    "queue.updated",
    "queue.deleted",
    "queue.purged",
    "queue.redriven",
    "queue.paused",
    "queue.resumed",
    "message.published",
    "message.leased",
    "message.acked",
    "message.retried",
    "message.released",
    "message.rejected",
    "message.extended",
    "message.deleted",
    "message.failed",
    "message.dead_lettered",
    "message.expired",
    "message.redriven",
    "maintenance.done",
]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened and is durable. Metadata only: never a body."""

    kind: EventKind
    queue: str
    at: int
    """Milliseconds UTC."""
    subject: str
    """Whose request it was; `broker` for maintenance."""
    peer: str = ""
    """The address that it came from; empty when it came over no network."""
    message_id: int | None = None
    count: int = 1
    state: str | None = None
    """The state of the message afterwards."""
    moved_to: str | None = None
    """The queue that a dead letter went to."""
    reason: str | None = None

    @property
    def queues(self) -> tuple[str, ...]:
        """Those that it concerns: a dead letter's both."""
        return (self.queue,) if self.moved_to is None else (self.queue, self.moved_to)


class Interceptor(Provider):
    """Validates or transforms what is about to be published."""

    @abstractmethod
    async def before_publish(
        self, identity: Identity, batch: Sequence[NewMessage]
    ) -> Sequence[NewMessage]:
        """Return the batch, or another of the same length; raise Rejected to refuse all of it.

        Called after permission was checked, in the order of the config; each interceptor gets
        what the one before it returned. It must not send messages to other queues.
        """


class Observer(Provider):
    """Is told what happened: metrics, audit, mirrors."""

    kinds: frozenset[EventKind] | None = None
    """The kinds of events that it is told of, None for all; what nobody wants is not even made."""

    @abstractmethod
    def notify(self, events: Sequence[Event]) -> None:
        """Take the events of one operation. Must not block: own a queue if you need I/O.

        Whatever it raises is logged with the plugin's name and counted, and nobody else notices.
        """


class Transport(Provider):
    """A way in and out for clients. It calls the Broker it was given, and nothing behind it.

    A transport returns routes (served by whatever serves the broker; their answers may go on, each
    a `Stream`), a Quart blueprint (for what needs a framework: pages), or opens a listener of its
    own in `open`.
    """

    requires: frozenset[Capability] = frozenset()
    """What the storage must declare; without it the broker does not start."""

    def routes(self) -> Sequence[Route]:
        """Return framework-free routes; each is mounted at `/` and at `/v1`."""
        return ()

    def blueprint(self) -> Blueprint | None:
        """Return a Quart blueprint, mounted at `/`. A handler of a WebSocket finds who asks by
        `read_handshake`; what it raises before it accepts is the answer."""
        return None
