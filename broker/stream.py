"""Answers that go on: what a transport sends piece by piece for as long as its client stays."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import ClassVar, Literal

from broker.auth import Identity

Recheck = Callable[[], Awaitable[Identity]]
"""Returns who asks as things stand now, or raises what whoever asked anew would be told."""

EndReason = Literal[
    "auth-expired", "rotated", "shutdown", "slow", "unavailable", "deleted", "failed"
]
"""Why a stream ends that its client did not end: the identity is not what it was, or may not do
what it might; its time is over, and the client shall come again; the broker stops; the client takes
too little; who asks cannot be found out, or what is streamed cannot be had now; what is streamed is
gone; something broke."""

RETRY_MS = 3_000

SPREAD = 0.2
"""By which share of itself a stream's lifetime is longer or shorter, and the time after which its
client comes again, so that those who came at one time do not come again at one time."""


def end_event(reason: EndReason) -> str:
    """Return the name of the event that tells a client of an end, in every form of a stream."""
    return {"auth-expired": "auth-expired", "slow": "dropped"}.get(reason, "end")


def retry_ms() -> int:
    """Return after how long a client that lost its stream shall come again, what the `retry` of
    Server-Sent Events is for."""
    return round(RETRY_MS * random.uniform(1 - SPREAD, 1 + SPREAD))


class Stream(ABC):
    """An answer that goes on. A handler makes one and returns it in its Response.

    From then on it is the core's, which counts it among the streams of its identity, asks for one
    piece after the other and sends it, keeps an idle one alive, finds out again and again who
    asks, ends it after its time or with the broker, and closes it: once, whether or not its client
    ever took anything. So what a handler takes for a stream belongs into the stream, to be given
    back by `close`.

    Override `take` and, where they matter, `farewell`, `admit` and `close`; call `wake` and `end`,
    on the event loop. All else is called by the core.
    """

    heartbeat: ClassVar[bytes] = b": hb\n\n"
    """What is sent when there was nothing to send for a while; means nothing to the client."""

    def __init__(self, identity: Identity, *, recheck: Recheck | None = None) -> None:
        """`recheck` None: the identity stays what it is until it expires."""
        self.identity = identity
        """Who gets it; `admit` changes it."""
        self.recheck = recheck
        """What finds out anew who that is; None: nobody does."""
        self.end_reason: EndReason | None = None
        """Why it ends; None as long as it goes on."""
        self.is_closed = False
        """Whether all was given back, or is being."""
        self.was_taken = False
        """Whether the client took everything, the farewell too."""
        self._is_awake = False
        self._sleep: asyncio.Future[None] | None = None
        self._is_ahead = False
        self._is_idle = False
        self._is_over = False

    @abstractmethod
    async def take(self) -> bytes:
        """Return what there is to send now, nothing if there is nothing.

        Do not wait here for more to come: call `wake` when it did. Called again only when the
        client took what was returned before, for which it has 15 s: return some 64 KiB of what is
        much. What is returned after the stream was told to `end` is not sent. Whatever this raises
        ends the stream.
        """

    def farewell(self, reason: EndReason) -> bytes:  # noqa: ARG002  # what others override
        """Return what tells the client why the stream ends: an `end_event`, where it has events."""
        return b""

    def admit(self, identity: Identity) -> None:
        """Go on for an identity as it is now; raise Forbidden, or another error, if this is not
        for it any more."""
        self.identity = identity

    async def close(self) -> None:
        """Give back what was taken for this stream; nothing is asked of it any more."""

    def wake(self) -> None:
        """Say that there may be something to take."""
        self._is_awake = True
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)

    def end(self, reason: EndReason) -> None:
        """Send nothing more but the farewell; the first reason counts."""
        if self.end_reason is None:
            self.end_reason = reason
            self.wake()

    def beat(self) -> None:
        """Send the heartbeat, unless there is something better to send."""
        self._is_idle = True
        self.wake()

    async def next(self) -> bytes:
        """Return the next piece as soon as there is one; nothing at the end."""
        while not self._is_over:
            self._is_awake = False
            if self.end_reason is not None:
                self._is_over = True
                if farewell := self.farewell(self.end_reason):
                    return farewell
                break
            piece = await self.take()
            if piece and self._is_ahead:
                await asyncio.sleep(0)  # or who always has more would keep others from their turn
            self._is_ahead = bool(piece)
            if self.end_reason is not None:
                continue
            if piece or self._is_idle:
                self._is_idle = False
                return piece or self.heartbeat
            if not self._is_awake:
                self._sleep = asyncio.get_running_loop().create_future()
                await self._sleep
        self.was_taken = True
        return b""
