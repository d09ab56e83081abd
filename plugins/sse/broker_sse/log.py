"""What puts events in an order and has the hub told of them: this broker's alone, or all nodes'."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

from broker import EVENT_KINDS, Event, Observer

from broker_sse.entry import Entry, EventId, new_epoch
from broker_sse.hub import Hub


class EventLog(Observer):
    """Hears of the events of this broker, and tells the hub of all events in their order."""

    in_loop = True
    kinds = EVENT_KINDS

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.wake: Callable[[str, int | None], None] = _wake_nobody
        """Wakes some of those who wait for messages in a queue, None for all: what another broker
        did concerns them. Who builds the broker sets it to `Broker.wake`."""

    @abstractmethod
    def notify(self, events: Sequence[Event]) -> None:
        """Take the events of one operation."""

    async def reach(self, place: EventId) -> None:
        """Return once the hub was told of what stands at a place, where a client may have come to
        by another broker; if that takes more than a moment, without it."""


class LocalLog(EventLog):
    """The order of one broker, which begins anew with each start."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._epoch = new_epoch()
        self._sequence = 0
        hub.begin((), before=EventId(self._epoch, 0))

    def notify(self, events: Sequence[Event]) -> None:
        """Give the events their places and tell."""
        entries = []
        for event in events:
            self._sequence += 1
            entries.append(Entry(EventId(self._epoch, self._sequence), event))
        self.hub.tell(entries)


def _wake_nobody(queue: str, count: int | None) -> None:
    pass
