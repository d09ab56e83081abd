"""What the operations of one broker share."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from broker.auth import Identity
from broker.context import Clock
from broker.extend import Event, EventKind
from broker.models import Ended
from broker.operations.gate import Gate
from broker.operations.instruments import Instruments
from broker.operations.known_queues import KnownQueues
from broker.operations.observing import Observers
from broker.operations.tasks import Tasks
from broker.operations.unsettled import Holders
from broker.operations.waiting import Waiting
from broker.storage import CAPABILITIES, Capability, Storage

BROKER = Identity(subject="broker")
"""Who does what happens by itself."""


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """The bound parts of a broker: plain attributes, so that no operation looks anything up."""

    storage_name: str
    storage: Storage
    gate: Gate
    observers: Observers
    tasks: Tasks
    waiting: Waiting
    holders: Holders
    queues: KnownQueues
    instruments: Instruments
    clock: Clock

    @property
    def missing(self) -> frozenset[Capability]:
        """What the storage does not declare."""
        return CAPABILITIES - self.storage.capabilities

    def event(
        self,
        identity: Identity,
        kind: EventKind,
        queue: str,
        *,
        message_id: int | None = None,
        count: int = 1,
        state: str | None = None,
        moved_to: str | None = None,
        reason: str | None = None,
    ) -> Event:
        """Return what tells of one thing that has just happened."""
        return Event(
            kind=kind,
            queue=queue,
            at=self.clock.now(),
            subject=identity.subject,
            peer=identity.peer,
            message_id=message_id,
            count=count,
            state=state,
            moved_to=moved_to,
            reason=reason,
        )

    def observe(self, identity: Identity, kind: EventKind, queue: str, *, count: int = 1) -> None:
        """Tell the observers of something that happened to a queue."""
        if self.observers.want(kind):
            self.observers.notify([self.event(identity, kind, queue, count=count)])

    def observe_messages(
        self,
        identity: Identity,
        kind: EventKind,
        state: str | None,
        messages: Iterable[tuple[str, int]],
    ) -> None:
        """Tell the observers that the same thing happened to several (queue, message id)."""
        if self.observers.want(kind):
            self.observers.notify(
                [
                    self.event(identity, kind, queue, message_id=message_id, state=state)
                    for queue, message_id in messages
                ]
            )

    def note_ended(self, identity: Identity, ended: Iterable[Ended]) -> None:
        """Wake a waiting consumer for each dead letter, and tell the observers of all."""
        events: list[Event] = []
        for one in ended:
            if one.moved_to is not None:
                self.waiting.wake(one.moved_to)
            kind, state = _end(one)
            if self.observers.want(kind):
                events.append(
                    self.event(
                        identity,
                        kind,
                        one.queue,
                        message_id=one.id,
                        state=state,
                        moved_to=one.moved_to,
                        reason=one.reason,
                    )
                )
        self.observers.notify(events)


def _end(ended: Ended) -> tuple[EventKind, str | None]:
    """Return the event that tells of an end, and the state of the message afterwards."""
    if ended.moved_to is not None:
        return "message.dead_lettered", "pending"
    if ended.how == "failed":
        return "message.failed", "failed"
    return "message.expired", None
