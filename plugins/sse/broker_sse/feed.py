"""A stream of events: what one client asked for, from where it left off, as it happens."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec
from broker import (
    Action,
    Broker,
    EndReason,
    Event,
    Identity,
    Recheck,
    Stream,
    end_event,
    retry_ms,
    write_event,
    write_id,
    write_retry,
)

from broker_sse.entry import Entry
from broker_sse.filters import Filter
from broker_sse.history import Start
from broker_sse.hub import Hub
from broker_sse.stats import Stats

PIECE_BYTES = 64 * 1024
"""After how much a piece ends, with the event that reaches it."""

READ_ENTRIES = 256
"""How much of the history is read at once."""

MAX_RIGHTS = 4_096
"""How many answers about what the identity may do are kept."""

Write = Callable[[Entry], bytes]
Demand = tuple[Action, str]
"""What may be done with which queue."""


class Feed(Stream):
    """Takes what the hub tells, and sends what its identity may read.

    It begins with what the history has, a part at a time, and what happens meanwhile goes there;
    when all of that is taken, it takes what is new, without a moment between.
    """

    def __init__(
        self,
        broker: Broker,
        hub: Hub,
        identity: Identity,
        *,
        recheck: Recheck | None,
        wants: Filter,
        start: Start,
        opening: bytes,
        write: Write,
        demands: Iterable[Demand] = (),
        stats: Stats | None = None,
    ) -> None:
        """`opening` is sent first, then what is there from `start` on, each as `write` writes it.

        With a right that it `demands`, the identity loses the stream. `stats` are shown to who
        wants them.
        """
        super().__init__(identity, recheck=recheck)
        self.wants = wants
        self._broker = broker
        self._hub = hub
        self._write = write
        self._demands = tuple(demands)
        self._opening = write_retry(retry_ms()) + opening
        self._rights: dict[Demand, bool] = {}
        self._entries: deque[Entry | bytes] = deque()
        self._waiting: deque[Entry | bytes] = deque()
        self._position: int | None = start.position
        self._has_moved = False
        self._stats = stats if wants.stats else None
        self._newest_stats = b""
        if self._stats is not None:
            self._stats.join(self)
        # First, so that nothing is missed between the history and what is new.
        hub.subscribe(self)
        self._read_history(start.position)

    def offer(self, entries: Sequence[Entry]) -> None:
        """Take events of one operation, which are taken whole if there is room for one."""
        if self._position is not None:
            return  # they will be read from the history
        if len(self._waiting) >= self._hub.buffer:
            self._drop()
            return
        self._waiting.extend(entries)
        self.wake()

    def announce_gap(self, reason: str) -> None:
        """Tell the client that something may be missing here."""
        if len(self._waiting) >= self._hub.buffer:
            self._drop()
            return
        self._waiting.append(write_event("gap", msgspec.json.encode({"reason": reason})))
        self.wake()

    def note_place(self) -> None:
        """Tell the client where all that it did not ask for has come to, if there is nothing else
        to tell, or it would find that place gone when it comes back."""
        self._has_moved = True
        self.wake()

    def show(self, piece: bytes) -> None:
        """Take the newest stats; older ones that were not taken yet mean nothing any more."""
        self._newest_stats = piece
        self.wake()

    async def take(self) -> bytes:
        """Return what there is, a piece of it if it is much."""
        if self._opening:
            opening, self._opening = self._opening, b""
            return opening
        if self._newest_stats:
            stats, self._newest_stats = self._newest_stats, b""
            return stats
        while self._entries or self._fetch():
            if piece := await self._next_piece():
                self._has_moved = False
                return piece
            await asyncio.sleep(0)  # so that others get their turn while this one looks
        if self._has_moved:
            self._has_moved = False
            return write_id(str(self._hub.history.newest))
        return b""

    def admit(self, identity: Identity) -> None:
        """Go on with what the identity may read now; raise Forbidden or QueueNotFound if that is
        nothing, or it lost what this stream demands."""
        self._broker.permit_some(identity, "read")
        for action, queue in self._demands:
            self._broker.permit(identity, action, queue)
        self._rights.clear()
        super().admit(identity)

    def farewell(self, reason: EndReason) -> bytes:
        """Return the event that tells why there are no more."""
        return write_event(end_event(reason), msgspec.json.encode({"reason": reason}))

    async def close(self) -> None:
        """Listen no more."""
        self._hub.unsubscribe(self)
        if self._stats is not None:
            self._stats.leave(self)

    def _drop(self) -> None:
        self._waiting.clear()
        if self.end_reason is None:
            self._hub.evicted += 1
        self.end("slow")

    def _fetch(self) -> bool:
        """Have what comes next at hand; tell whether there may be more."""
        if self._position is None:
            self._entries, self._waiting = self._waiting, self._entries
            return bool(self._entries)
        self._read_history(self._position)
        return self.end_reason is None

    def _read_history(self, position: int) -> None:
        entries = self._hub.history.read(position, READ_ENTRIES)
        if entries is None:  # it was overtaken by what is new, all of the history later
            self._position = None
            self._drop()
            return
        self._entries.extend(entry for entry in entries if self._wants(entry.event))
        position += len(entries)
        self._position = position if position < self._hub.history.end else None

    async def _next_piece(self) -> bytes:
        parts = []
        size = 0
        while self._entries and size < PIECE_BYTES:
            entry = self._entries.popleft()
            if isinstance(entry, bytes):
                part = entry
            elif self._may_be_told(entry.event):
                part = self._write(entry)
            else:
                continue
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _wants(self, event: Event) -> bool:
        return any(self.wants.takes(queue, event.kind) for queue in event.queues)

    def _may_be_told(self, event: Event) -> bool:
        if event.moved_to is None:
            return self._may("read", event.queue)
        return any(self.wants.covers(queue) and self._may("read", queue) for queue in event.queues)

    def _may(self, action: Action, queue: str) -> bool:
        may = self._rights.get((action, queue))
        if may is None:
            if len(self._rights) >= MAX_RIGHTS:
                self._rights.clear()
            may = self._broker.permits(self.identity, action, queue)
            self._rights[action, queue] = may
        return may
