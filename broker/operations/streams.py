"""Streams: how many there are, and what ends them though their clients would stay."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from broker.context import Clock
from broker.errors import (
    BrokerError,
    Forbidden,
    InvalidToken,
    QueueNotFound,
    Unauthenticated,
    Unavailable,
)
from broker.isolation import Failures, is_from_outside
from broker.operations.places import Place, Places
from broker.operations.tasks import Tasks
from broker.stream import SPREAD, EndReason, Stream
from broker.turn import CURRENT_TURN

TICK_MS = 1_000

HEARTBEAT_MS = 13_000
"""After how long an idle stream is kept alive, at the next tick: so within 15 s, the longest that
proxies and clients can be relied on to wait (WHATWG HTML, 9.2.7)."""

RECHECK_MS = 2_000
"""How often it is found out who asks, at the next tick; by the second tick after that it has to be
known: the first may come at once, if the event loop was kept from it. So who lost the right to a
stream loses the stream within 5 s."""

LIFETIME_MS = 600_000

CLOSE_SECONDS = 5.0
"""How long a stream may take to give back what it took."""


class Streams:
    """All open streams of a broker. `tasks` are those that outlive clients."""

    def __init__(self, clock: Clock, places: Places, tasks: Tasks, failures: Failures) -> None:
        self._clock = clock
        self._failures = failures
        self._places = places
        self._tasks = tasks
        self._stays: dict[Stream, _Stay] = {}
        self._has_some = asyncio.Event()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._stays)

    def count_by_plugin(self) -> dict[tuple[str], int]:
        """Count the streams by (plugin,)."""
        return Counter((stay.plugin,) for stay in self._stays.values())

    def join(self, stream: Stream, plugin: str | None = None) -> None:
        """Count a stream of this plugin until it leaves; raises TooManyStreams, Unavailable when
        the broker drains, and InvalidToken for credentials that are over, whatever leeway they have
        elsewhere."""
        if self._is_closed:
            raise Unavailable("the broker is shutting down; try again when it is back")
        now = self._clock.now()
        if _is_expired(stream, now):
            raise InvalidToken
        place = self._places.place(stream.identity)
        place.take()
        self._stays[stream] = _Stay(place, now, plugin or type(stream).__name__)
        self._has_some.set()

    async def leave(self, stream: Stream) -> None:
        """Close a stream, whether or not it could join; to do so twice does no harm."""
        stay = self._stays.pop(stream, None)
        if stay is not None:
            stay.end()
        if not self._stays:
            self._has_some.clear()
        if not stream.is_closed:
            stream.is_closed = True
            await self._tasks.finish(self._close(stream, stay))

    async def next(self, stream: Stream) -> bytes:
        """Return the next piece of a stream that joined, nothing at its end."""
        while True:
            try:
                piece = _demand_bytes(await stream.next())
            # An isolation point: the answer is begun, so that this cannot be told otherwise.
            except BaseException as error:
                if is_from_outside(error):
                    raise
                stream.end(self._reason(error, stream, unexpected="failed"))
            else:
                if stay := self._stays.get(stream):
                    stay.moved_at = self._clock.now()
                return piece

    def close(self) -> None:
        """End all streams, now and from now on: the broker drains."""
        self._is_closed = True
        for stream, stay in self._stays.items():
            with self._blaming(stay, "end a stream"):
                stream.end("shutdown")

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep the streams alive, and end those whose time has come, while the block runs."""
        task = asyncio.ensure_future(self._keep())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _keep(self) -> None:
        while True:
            await self._has_some.wait()
            await self._clock.sleep_until(self._clock.now() + TICK_MS)
            now = self._clock.now()
            for stream, stay in self._stays.items():
                with self._blaming(stay, "keep a stream"):
                    self._tend(stream, stay, now)

    def _tend(self, stream: Stream, stay: _Stay, now: int) -> None:
        if stream.end_reason is not None:
            return
        if now >= stay.ends_at:
            stream.end("rotated")
        elif _is_expired(stream, now):
            stream.end("auth-expired")
        elif stay.is_being_checked:
            if stay.is_late:
                stream.end("unavailable")
            stay.is_late = True
        elif now >= stay.recheck_at and stream.recheck is not None:
            stay.recheck_at = now + RECHECK_MS
            stay.is_late = False
            stay.checking = asyncio.ensure_future(self._check(stream))
        if now - stay.moved_at >= HEARTBEAT_MS:
            stay.moved_at = now
            stream.beat()

    async def _check(self, stream: Stream) -> None:
        assert stream.recheck is not None, "only those are checked that can be"
        try:
            stream.admit(await stream.recheck())
        except QueueNotFound:  # it may not even see the queue any more
            stream.end("auth-expired")
        # An isolation point: who cannot be recognised gets nothing more, and all others go on.
        except BaseException as error:
            if is_from_outside(error):
                raise
            stream.end(self._reason(error, stream, unexpected="unavailable"))

    def _reason(self, error: BaseException, stream: Stream, *, unexpected: EndReason) -> EndReason:
        if isinstance(error, Unavailable):
            return "unavailable"
        if isinstance(error, (Unauthenticated, Forbidden)):
            return "auth-expired"
        if not isinstance(error, BrokerError):
            self._failures.note(
                _owner(self._stays.get(stream), stream), "go on with a stream", error
            )
        return unexpected

    async def _close(self, stream: Stream, stay: _Stay | None) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await stream.close()
        # An isolation point: its client is gone, and nobody else may suffer for it.
        except BaseException as error:
            if is_from_outside(error):
                raise
            self._failures.note(_owner(stay, stream), "close a stream", error)

    @contextmanager
    def _blaming(self, stay: _Stay, step: str) -> Iterator[None]:
        """Go on with the other streams whatever the block raises."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001  # SystemExit would end the broker
            self._failures.note(stay.plugin, step, error)


class _Stay:
    """A stream's time here; milliseconds."""

    __slots__ = (
        "checking",
        "ends_at",
        "is_late",
        "moved_at",
        "place",
        "plugin",
        "recheck_at",
        "turn",
    )

    def __init__(self, place: Place, now: int, plugin: str) -> None:
        self.place = place
        self.plugin = plugin
        self.moved_at = now
        # Not all at one tick who come at one time, as after a restart.
        self.recheck_at = now + random.randint(0, RECHECK_MS)
        self.ends_at = now + int(LIFETIME_MS * random.uniform(1 - SPREAD, 1 + SPREAD))
        self.is_late = False
        self.checking: asyncio.Task[None] | None = None
        self.turn = CURRENT_TURN.get()
        if self.turn is not None:
            self.turn.keep()

    @property
    def is_being_checked(self) -> bool:
        return self.checking is not None and not self.checking.done()

    def end(self) -> None:
        self.place.give_back()
        if self.turn is not None:
            self.turn.leave()
        if self.checking is not None:
            self.checking.cancel()


def _is_expired(stream: Stream, now: int) -> bool:
    expires_at = stream.identity.expires_at
    return expires_at is not None and now >= expires_at


def _demand_bytes(piece: bytes) -> bytes:
    if not isinstance(piece, bytes):
        raise TypeError(f"a piece of a stream is {type(piece).__name__}, no bytes")
    return piece


def _owner(stay: _Stay | None, stream: Stream) -> str:
    """Return the plugin whose stream this is, or what else is known of it."""
    return type(stream).__name__ if stay is None else stay.plugin
