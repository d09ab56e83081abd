"""A stream of events: what one client asked for, as it happens."""

from __future__ import annotations

from collections import deque

import msgspec
from broker import Broker, EndReason, Identity, Recheck, Stream, timestamp

from broker_sse.entry import Entry
from broker_sse.hub import Hub
from broker_sse.wire import write_event

ENDS = {"auth-expired": "auth-expired", "slow": "dropped"}
"""The event that tells of an end; `end` for all others."""


class Feed(Stream):
    """Takes what the hub tells, and sends what its identity may read."""

    def __init__(
        self, broker: Broker, hub: Hub, identity: Identity, *, recheck: Recheck | None
    ) -> None:
        super().__init__(identity, recheck=recheck)
        self._broker = broker
        self._hub = hub
        self._waiting: deque[Entry] = deque()
        hub.subscribe(self)

    def offer(self, entry: Entry) -> None:
        """Take an event."""
        if len(self._waiting) >= self._hub.buffer:
            self._waiting.clear()
            self.end("slow")
            return
        self._waiting.append(entry)
        self.wake()

    async def take(self) -> bytes:
        """Return the events that wait."""
        entries, self._waiting = self._waiting, deque()
        return b"".join(
            _write(entry)
            for entry in entries
            if self._broker.permits(self.identity, "read", entry.event.queue)
        )

    def admit(self, identity: Identity) -> None:
        """Go on with what the identity may read now; raise Forbidden if that is nothing."""
        self._broker.permit_some(identity, "read")
        super().admit(identity)

    def farewell(self, reason: EndReason) -> bytes:
        """Return the event that tells why there are no more."""
        return write_event(ENDS.get(reason, "end"), msgspec.json.encode({"reason": reason}))

    async def close(self) -> None:
        """Listen no more."""
        self._hub.unsubscribe(self)


def _write(entry: Entry) -> bytes:
    event = entry.event
    data = {
        "event": event.kind,
        "queue": event.queue,
        "message_id": event.message_id,
        "timestamp": timestamp(event.at),
    }
    return write_event(event.kind, msgspec.json.encode(data), event_id=str(entry.id))
