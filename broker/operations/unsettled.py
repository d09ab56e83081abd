"""What consumers hold: the leases that they have not settled, and being told when that changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, KeysView

import msgspec

from broker.context import Clock
from broker.models import Lease, MessageQuery, Settle, SettleResult
from broker.storage import Storage

SHARED_LOOK_MS = 5_000
"""How often it is looked for what other processes made of the leases."""

LOOK_MESSAGES = 100
"""How many messages are looked for at once."""


class Holders:
    """All who hold leases of a broker and count them."""

    def __init__(self) -> None:
        self._by_queue: dict[str, dict[Unsettled, None]] = {}
        self._by_message: dict[int, Unsettled] = {}

    def join(self, holder: Unsettled) -> None:
        """Take in one that holds nothing yet."""
        self._by_queue.setdefault(holder.queue, {})[holder] = None

    def leave(self, holder: Unsettled) -> None:
        """Let go of one that holds nothing any more; harmless if it never joined."""
        others = self._by_queue.get(holder.queue, {})
        others.pop(holder, None)
        if not others:
            self._by_queue.pop(holder.queue, None)

    def count(self, queue: str) -> int:
        """Return how many lease from a queue."""
        return len(self._by_queue.get(queue, ()))

    def hold(self, message_id: int, holder: Unsettled) -> None:
        """Take it that a message is leased to this one now."""
        self._by_message[message_id] = holder

    def drop(self, message_id: int, holder: Unsettled) -> None:
        """Take it that a message is leased to this one no more."""
        if self._by_message.get(message_id) is holder:
            del self._by_message[message_id]

    def settle(self, op: Settle, result: SettleResult) -> None:
        """Tell of an operation that was carried out."""
        holder = self._by_message.get(op.id)
        if holder is None:
            return
        if op.kind == "extend" and result.visible_at is not None:
            holder.prolong(op.id, result.visible_at)
        else:
            holder.forget(op.id)

    def remove(self, message_id: int) -> None:
        """Tell that a message is gone."""
        holder = self._by_message.get(message_id)
        if holder is not None:
            holder.forget(message_id)

    def doubt(self, queue: str) -> None:
        """Tell that leased messages of a queue are gone, whichever these are."""
        for holder in self._by_queue.get(queue, ()):
            holder.doubt()


class _Held(msgspec.Struct):
    token: bytes
    until: int


class Unsettled:
    """The leases of one consumer in one queue, until they are settled or over."""

    def __init__(self, queue: str, holders: Holders, storage: Storage, clock: Clock) -> None:
        self.queue = queue
        self.changed: Callable[[], None] = _tell_nobody
        """Called when there may be fewer of them."""
        self._holders = holders
        self._storage = storage
        self._clock = clock
        self._held: dict[int, _Held] = {}
        self._first_end: float = math.inf  # no lease ends before
        self._look_ms = SHARED_LOOK_MS if "shared" in storage.capabilities else math.inf
        self._look_at = clock.now() + self._look_ms
        self._looked_after = 0
        holders.join(self)

    def count(self) -> int:
        """Return how many there are now."""
        now = self._clock.now()
        if now >= self._first_end:
            for message_id in [key for key, held in self._held.items() if held.until <= now]:
                self._drop(message_id)
            self._first_end = min((held.until for held in self._held.values()), default=math.inf)
        return len(self._held)

    @property
    def due(self) -> float:
        """When to look and count again though nothing was told (milliseconds)."""
        return min(self._first_end, self._look_at) if self._held else math.inf

    def ids(self) -> KeysView[int]:
        """Return which messages they are of."""
        self.count()
        return self._held.keys()

    def keep(self, leases: Iterable[Lease]) -> None:
        """Count new leases."""
        for lease in leases:
            message = lease.message
            self._held[message.id] = _Held(lease.token, message.visible_at)
            self._holders.hold(message.id, self)
            self._first_end = min(self._first_end, message.visible_at)

    def forget(self, message_id: int) -> None:
        """Take it that a lease is over."""
        if message_id in self._held:
            self._drop(message_id)
            self.changed()

    def prolong(self, message_id: int, until: int) -> None:
        """Take it that a lease lasts until then (milliseconds)."""
        held = self._held.get(message_id)
        if held is not None:
            held.until = max(held.until, until)

    def doubt(self) -> None:
        """Take it that any of the leases may be over."""
        self._look_at = self._clock.now()
        self.changed()

    async def look(self) -> None:
        """Find out, if it is time to, whether leases are over that nobody told of."""
        now = self._clock.now()
        if now < self._look_at or not self._held:
            return
        ids = sorted(self._held)
        query = MessageQuery(ids=tuple(ids), after=self._looked_after, limit=LOOK_MESSAGES)
        page = await self._storage.browse(query, now=now)
        found = {message.id: message for message in page.messages}
        last = math.inf if page.after is None else page.after
        for message_id in ids:
            if self._looked_after < message_id <= last:
                message = found.get(message_id)
                if message is None or (message.queue, message.state) != (self.queue, "processing"):
                    self._drop(message_id)
                else:
                    self.prolong(message_id, message.visible_at)
        self._looked_after = page.after or 0
        self._look_at = now + self._look_ms if page.after is None else now

    def end(self, only: frozenset[int] | None = None) -> list[Settle]:
        """Hold nothing any more; return what releases the leases that are not over, or those of
        `only` these messages."""
        self.count()
        releases = [
            Settle(id=message_id, queue=self.queue, kind="release", token=held.token)
            for message_id, held in self._held.items()
            if only is None or message_id in only
        ]
        for message_id in list(self._held):
            self._drop(message_id)
        self._holders.leave(self)
        return releases

    def _drop(self, message_id: int) -> None:
        if self._held.pop(message_id, None) is not None:
            self._holders.drop(message_id, self)


def _tell_nobody() -> None:
    """Nobody listens yet."""
