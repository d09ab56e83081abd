"""Reading the bodies of requests: no more than a route takes, no slower than is waited for, and
all together in bounded memory.

What is small is read of everybody, and less of each while that takes much. Only those who are
known are read more of, and what that takes is counted for the whole process, as it comes: to
announce much costs nobody anything.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable

from broker.auth import Identity
from broker.budget import Budget, Share, whose_identity
from broker.client import Client
from broker.deadlines import Deadlines
from broker.errors import BodyTooSlow, MessageTooLarge, Overloaded, Unauthenticated
from broker.limits import MAX_SMALL_BODY_BYTES

PROGRESS_SECONDS = 14
"""How long a client may take to send a small body, and each `PROGRESS_BYTES` of a large one: who is
too slow is answered within 15 s."""

PROGRESS_BYTES = 1024 * 1024
"""How much of a large body has to come in `PROGRESS_SECONDS`."""

MAX_LARGE_BYTES = 64 * 1024 * 1024
"""How much of all bodies is in memory at once, but for what of each is small."""

MAX_SMALL_BYTES = 64 * 1024 * 1024
"""How much of what is small of all bodies may be in memory, but for tiny bodies, until less is read
of everybody."""

MAX_TINY_BODY_BYTES = 4 * 1024
"""How much of a body is read of everybody even then."""


class GoneError(Exception):
    """The client went away before its request was whole."""


class Bodies:
    """All bodies that are in memory."""

    def __init__(self) -> None:
        self.deadlines = Deadlines(PROGRESS_SECONDS, Body.demand_progress)
        self.large = Budget(
            MAX_LARGE_BYTES, "too many large bodies come at once; try again in a moment"
        )
        self.small_bytes = 0

    @property
    def free_bytes(self) -> int:
        """How much of a body is read of everybody, and taken from nobody's share."""
        is_crowded = self.small_bytes > MAX_SMALL_BYTES
        return MAX_TINY_BODY_BYTES if is_crowded else MAX_SMALL_BODY_BYTES


class Body:
    """What has come of the body of one request."""

    __slots__ = (
        "_bodies",
        "_client",
        "_is_whole",
        "_limit",
        "_parts",
        "_share",
        "_size",
        "_size_before",
        "_small",
    )

    def __init__(self, bodies: Bodies, client: Client, limit: int) -> None:
        self._bodies = bodies
        self._client = client
        self._limit = limit
        self._parts = io.BytesIO()  # a list would take many times as much for parts of a few bytes
        self._size = 0
        self._small = 0
        self._share: Share | None = None  # until it is known whose it is
        self._size_before = 0
        self._is_whole = False

    async def read(self, announced: int, identify: Callable[[], Awaitable[Identity]]) -> bytes:
        """Return all of it; what is more than free only if `identify` does not raise.

        Raises MessageTooLarge, BodyTooSlow, Overloaded and GoneError.
        """
        self._check(announced)
        if announced <= self._bodies.free_bytes:
            await self._read_on()
        if not self._is_whole or self._size > MAX_SMALL_BODY_BYTES:
            try:
                identity = await identify()
            except Unauthenticated as error:
                if max(announced, self._size) > MAX_SMALL_BODY_BYTES:
                    raise
                # At another time nobody would have asked who it is: of a login, say.
                raise Overloaded("too many bodies come at once; try again in a moment") from error
            self._share = Share(self._bodies.large, whose_identity(identity))
            self._share.hold(self._size - self._bodies.free_bytes)
            await self._read_on()
        return self._parts.getvalue()

    def end(self) -> None:
        """Take it that nobody needs the body any more; to do so twice does no harm."""
        self._parts.close()
        if self._small:
            self._bodies.small_bytes -= self._small
            self._small = 0
        if self._share is not None:
            self._share.give_back()

    def demand_progress(self) -> None:
        """Wait on only if enough has come since the last time."""
        if self._size - self._size_before < PROGRESS_BYTES:
            self._client.interrupt()
        else:
            self._size_before = self._size
            self._bodies.deadlines.add(self)

    async def _read_on(self) -> None:
        """Read until the body is whole, or longer than what is free if nobody knows whose it is."""
        self._bodies.deadlines.add(self)
        try:
            while not self._is_whole and (self._size <= MAX_TINY_BODY_BYTES or self._may_grow()):
                message = await self._client.receive()
                if message["type"] == "http.disconnect":
                    raise GoneError
                if part := message.get("body"):
                    self._add(part)
                self._is_whole = not message.get("more_body")
        except asyncio.CancelledError as error:
            if not self._client.recover():
                raise
            raise BodyTooSlow(_TOO_SLOW) from error
        finally:
            self._bodies.deadlines.remove(self)

    def _may_grow(self) -> bool:
        return self._share is not None or self._size <= self._bodies.free_bytes

    def _add(self, part: bytes) -> None:
        size = self._size + len(part)
        self._check(size)
        if size > MAX_TINY_BODY_BYTES:
            self._count(size)
        self._size = size
        self._parts.write(part)

    def _count(self, size: int) -> None:
        if self._share is not None:
            self._share.hold(size - self._bodies.free_bytes)
        small = min(size, MAX_SMALL_BODY_BYTES)
        self._bodies.small_bytes += small - self._small
        self._small = small

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise MessageTooLarge(f"the body exceeds {self._limit} bytes")


_TOO_SLOW = (
    f"the body came too slowly: {PROGRESS_SECONDS} s are enough for a small one, "
    f"and for every {PROGRESS_BYTES} bytes of a large one"
)
