"""The other things that a plugin can provide: transports, interceptors, observers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

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
"""What can happen: `docs/events.md` says when each of them does."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened and is durable. Metadata only: never a body."""

    kind: EventKind
    """What happened."""
    queue: str
    """The queue in which it did; empty for what is about none."""
    at: int
    """Milliseconds UTC."""
    subject: str
    """Whose request it was; `broker` for maintenance."""
    peer: str = ""
    """The address that it came from; empty when it came over no network."""
    message_id: int | None = None
    """The message that it is about, if it is about one."""
    count: int = 1
    """How many messages it is about."""
    state: str | None = None
    """The state of the message afterwards."""
    moved_to: str | None = None
    """The queue that a dead letter went to."""
    reason: str | None = None
    """Why a message failed or expired."""

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
        what the one before it returned. It must not send messages to other queues, nor make them
        what the broker would refuse. Not done within 5 s, it is cancelled, and the client's answer
        a 503; what it raises beside a BrokerError, and what is wrong with what it returns, is a
        500. Nothing is stored then. What it does without an await keeps everybody waiting.
        """


class Observer(Provider):
    """Is told what happened: metrics, audit, mirrors.

    `notify` is called in a thread of the observer's own, one operation after the other, so that it
    may block: a hundred thousand events wait for it, and what comes beyond that it is not told.
    `open`, `close` and `ping` are called on the event loop, `close` when the thread has ended, or
    was given up because it is stuck.
    """

    in_loop: ClassVar[bool] = False
    """True if `notify` is to be called on the event loop, at once, for an observer that wakes
    tasks, or keeps what belongs to them. It must not block then: everybody waits for it. One that
    takes more than 0.1 s again and again, 0.5 s in all within a minute, is told no more."""

    kinds: frozenset[EventKind] | None = None
    """The kinds of events that it is told of, None for all; what nobody wants is not even made.
    Looked at once, when the broker is assembled."""

    @abstractmethod
    def notify(self, events: Sequence[Event]) -> None:
        """Take the events of one operation.

        Whatever it raises is logged with the plugin's name and counted, and nobody else notices; an
        observer that fails a hundred times in a row is told no more.
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
