"""What waits to be sent over a connection, and is undone if nobody gets it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec
from broker import Budget, Identity, Share, whose_identity

MAX_WAITING = 64
"""How many frames may wait before nothing more is taken from the client."""

MAX_SMALL_BYTES = 64 * 1024
"""How much of a frame is never counted."""

MAX_UNSENT_BYTES = 64 * 1024 * 1024
"""How much of all frames is in memory at once, but for what of each is small."""


Undo = Callable[[], Awaitable[None]]
"""What takes back what a frame gives away."""


class Parcel(msgspec.Struct, frozen=True, eq=False):
    """A frame, and what is undone if nobody gets it."""

    frame: bytes
    undo: Undo | None
    share: Share


class Outbox:
    """The frames of one connection, in order. What is taken from it is on its way, until the next
    is asked for."""

    def __init__(self, memory: Budget, identity: Identity) -> None:
        """`memory` is what all connections share."""
        self._memory = memory
        self._whose = whose_identity(identity)
        self._waiting: deque[Parcel] = deque()
        self._on_its_way: Parcel | None = None
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def room(self) -> None:
        """Return when no more waits than may."""
        await self._has_room.wait()

    def put(self, frame: bytes, *, undo: Undo | None = None) -> None:
        """Have a frame sent. One that can be undone, and takes too much memory, is not: then this
        raises Overloaded."""
        share = Share(self._memory, self._whose)
        if undo is not None:
            share.hold(max(0, len(frame) - MAX_SMALL_BYTES))
        self._waiting.append(Parcel(frame, undo, share))
        if len(self._waiting) >= MAX_WAITING:
            self._has_room.clear()

    def take(self) -> bytes:
        """Return the next frame, nothing if none waits; what was taken before has been sent."""
        self._note_sent()
        if not self._waiting:
            return b""
        self._on_its_way = self._waiting.popleft()
        if len(self._waiting) < MAX_WAITING:
            self._has_room.set()
        return self._on_its_way.frame

    async def close(self, *, was_taken: bool) -> None:
        """Undo what was not sent; `was_taken`: what was on its way has been."""
        if was_taken:
            self._note_sent()
        unsent = list(self._waiting)
        if self._on_its_way is not None:
            unsent.append(self._on_its_way)
        self._waiting.clear()
        for parcel in unsent:
            parcel.share.give_back()
            if parcel.undo is not None:
                await parcel.undo()

    def _note_sent(self) -> None:
        if self._on_its_way is not None:
            self._on_its_way.share.give_back()
            self._on_its_way = None
