"""Streams: how many there are, and what ends them though their clients would stay."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from broker.context import Clock
from broker.errors import BrokerError, Unavailable
from broker.operations.places import Place, Places
from broker.stream import Stream

TICK_MS = 1_000

HEARTBEAT_MS = 14_000
"""After how long an idle stream is kept alive, at the next tick: 15 s at most, the longest that
proxies and clients can be relied on to wait (WHATWG HTML, 9.2.7)."""

RECHECK_MS = 3_000
"""How often it is found out who asks. With a tick before it and a second for the answer, who lost
the right to a stream loses the stream within 5 s."""

RECHECK_SECONDS = 1.0

LIFETIME_MS = 600_000

SPREAD = 0.2
"""By which share of itself a lifetime is longer or shorter, so that those who came at one time do
not come again at one time."""

logger = logging.getLogger("broker.streams")


class Streams:
    """All open streams of a broker."""

    def __init__(self, clock: Clock, places: Places) -> None:
        self._clock = clock
        self._places = places
        self._stays: dict[Stream, _Stay] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._stays)

    def join(self, stream: Stream) -> None:
        """Count a stream until it leaves; raises TooManyStreams, and Unavailable when the broker
        drains."""
        if self._closed:
            raise Unavailable("the broker is shutting down; try again when it is back")
        place = self._places.place(stream.identity)
        place.take()
        self._stays[stream] = _Stay(place, self._clock.now())

    async def leave(self, stream: Stream) -> None:
        """Close a stream that joined; to do so twice does no harm."""
        stay = self._stays.pop(stream, None)
        if stay is None:
            return
        stay.place.give_back()
        try:
            await stream.close()
        # An isolation point: its client is gone, and nobody else may suffer for it.
        except Exception:
            logger.exception("%s did not close", type(stream).__name__)

    async def next(self, stream: Stream) -> bytes:
        """Return the next piece of a stream that joined, nothing at its end."""
        try:
            piece = await stream.next()
        except Unavailable:
            stream.end("unavailable")
        # An isolation point: the answer is begun, so that this cannot be told otherwise.
        except Exception as error:
            if not isinstance(error, BrokerError):
                logger.exception("%s failed", type(stream).__name__)
            stream.end("failed")
        else:
            stay = self._stays.get(stream)
            if stay is not None:
                stay.moved_at = self._clock.now()
            return piece
        return await stream.next()

    def close(self) -> None:
        """End all streams, now and from now on: the broker drains."""
        self._closed = True
        for stream in self._stays:
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
            await self._clock.sleep_until(self._clock.now() + TICK_MS)
            now = self._clock.now()
            for stream, stay in self._stays.items():
                if now >= stay.ends_at:
                    stream.end("rotated")
                elif _is_expired(stream, now):
                    stream.end("auth-expired")
                elif now - stay.moved_at >= HEARTBEAT_MS:
                    stay.moved_at = now
                    stream.beat()
            await self._recheck(self._due(now))

    def _due(self, now: int) -> list[Stream]:
        due = []
        for stream, stay in self._stays.items():
            if stream.recheck is not None and now >= stay.recheck_at:
                stay.recheck_at = now + RECHECK_MS
                due.append(stream)
        return due

    async def _recheck(self, streams: Iterable[Stream]) -> None:
        checks = {asyncio.ensure_future(_check(stream)): stream for stream in streams}
        if not checks:
            return
        _, late = await asyncio.wait(checks, timeout=RECHECK_SECONDS)
        for task in late:
            task.cancel()
            checks[task].end("unavailable")


class _Stay:
    """A stream's time here; milliseconds."""

    __slots__ = ("ends_at", "moved_at", "place", "recheck_at")

    def __init__(self, place: Place, now: int) -> None:
        self.place = place
        self.moved_at = now
        self.recheck_at = now + RECHECK_MS
        self.ends_at = now + int(LIFETIME_MS * random.uniform(1 - SPREAD, 1 + SPREAD))


def _is_expired(stream: Stream, now: int) -> bool:
    expires_at = stream.identity.expires_at
    return expires_at is not None and now >= expires_at


async def _check(stream: Stream) -> None:
    assert stream.recheck is not None
    try:
        stream.admit(await stream.recheck())
    except Unavailable:
        stream.end("unavailable")
    except BrokerError:
        stream.end("auth-expired")
    # An isolation point: who cannot be recognised gets nothing more, and all others go on.
    except Exception:
        logger.exception("who asks for a %s cannot be found out", type(stream).__name__)
        stream.end("unavailable")
