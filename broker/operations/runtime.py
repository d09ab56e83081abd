"""What the operations of one broker share."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from broker.auth import Identity
from broker.context import Clock
from broker.extend import Event, EventKind
from broker.operations.gate import Gate
from broker.operations.observing import Observers
from broker.operations.tasks import Tasks
from broker.operations.waiting import Waiting
from broker.storage import CAPABILITIES, Capability, Storage


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """The bound parts of a broker: plain attributes, so that no operation looks anything up."""

    storage_name: str
    storage: Storage
    gate: Gate
    observers: Observers
    tasks: Tasks
    waiting: Waiting
    clock: Clock

    @property
    def missing(self) -> frozenset[Capability]:
        """What the storage does not declare."""
        return CAPABILITIES - self.storage.capabilities

    def observe(
        self,
        identity: Identity,
        kind: EventKind,
        queue: str,
        *,
        message_id: int | None = None,
        count: int = 1,
        state: str | None = None,
    ) -> None:
        """Tell the observers of one thing."""
        if self.observers.want(kind):
            event = Event(
                kind=kind,
                queue=queue,
                at=self.clock.now(),
                subject=identity.subject,
                peer=identity.peer,
                message_id=message_id,
                count=count,
                state=state,
            )
            self.observers.notify([event])

    def observe_messages(
        self, identity: Identity, kind: EventKind, state: str, messages: Iterable[tuple[str, int]]
    ) -> None:
        """Tell the observers that the same thing happened to several (queue, message id)."""
        if self.observers.want(kind):
            at = self.clock.now()
            self.observers.notify(
                [
                    Event(
                        kind=kind,
                        queue=queue,
                        at=at,
                        subject=identity.subject,
                        peer=identity.peer,
                        message_id=message_id,
                        state=state,
                    )
                    for queue, message_id in messages
                ]
            )
