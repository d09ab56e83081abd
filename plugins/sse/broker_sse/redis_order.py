"""The order of all nodes' events, in Redis.

A hash holds the order's epoch and how many events it has had, a capped stream the newest of them,
each under `epoch-sequence`. An order ends, and another one begins, when Redis lost it, was started
anew, or a node had events that it could not put there: so whoever finds two events of one order
finds everything that lies between, or sees from the numbers that it is not there any more.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from broker_sse.crossing import Fields
from broker_sse.entry import EventId
from broker_sse.redis_link import RedisLink, Script
from broker_sse.redis_url import read_redis_url

JOIN = Script("join.lua")
SEND = Script("send.lua")

LEAST_KEPT = 10_000
"""How many events are kept for nodes that are behind, however little history is wanted."""

TOGETHER = 500
"""How many events are put there at once, so that others get their turn at the server, and how many
are read, so that whoever puts many reads as fast."""

WAIT_MS = 1_000
"""How long a question for what comes next waits for an answer that there is something."""


class Found(msgspec.Struct, frozen=True):
    """What there is after some place."""

    epoch: str | None
    """That of the order as it was before this was looked for; None if there is none."""
    entries: Sequence[tuple[EventId, Fields]]


class RedisOrder:
    """Puts events into the order, and reads what all nodes put there, each by a connection."""

    def __init__(self, url: str, *, prefix: str, history: int) -> None:
        self._url = read_redis_url(url)
        self._sending = RedisLink(self._url)
        self._reading = RedisLink(self._url)
        # In braces: what spreads keys over servers by name keeps these together.
        self._keys = (f"{{{prefix}}}:order", f"{{{prefix}}}:events")
        self._kept = max(history, LEAST_KEPT)
        self._run = ""
        self.where = self._url.place
        """Where that is, without user name and password."""

    async def open(self) -> None:
        """Connect; raises OSError."""
        await self._reading.open()
        await self._sending.open()
        server = (await self._sending.ask("INFO", "server")).decode()
        runs = [line for line in server.splitlines() if line.startswith("run_id:")]
        self._run = runs[0] if runs else ""

    async def close(self) -> None:
        """Disconnect."""
        await self._sending.close()
        await self._reading.close()

    async def join(self, *, anew: bool = False) -> EventId:
        """Return where the order stands, which begins if there is none, or `anew`; raises OSError
        if it cannot be written."""
        epoch, sequence = await self._sending.run(JOIN, self._keys, self._run, int(anew))
        return EventId(epoch.decode(), int(sequence))

    async def send(self, epoch: str, version: str, events: Sequence[bytes]) -> bool:
        """Put events at the end; tell whether they are there, and not, because the order is another
        one by now."""
        done: int = await self._sending.run(SEND, self._keys, epoch, self._kept, version, *events)
        return done == 1

    async def stay(self) -> None:
        """Keep the connection that sends; raises OSError if that is gone."""
        await self._sending.ask("HGET", self._keys[0], "epoch")

    async def read(self, after: EventId, *, wait: bool = True) -> Found:
        """Return what comes next, as soon as there is something, or nothing after a while."""
        order, events = self._keys
        block = ("BLOCK", WAIT_MS) if wait else ()
        read = ("XREAD", "COUNT", TOGETHER, *block, "STREAMS", events, str(after))
        epoch, streams = await self._reading.ask_all(
            [("HGET", order, "epoch"), read], wait_seconds=WAIT_MS / 1000
        )
        [(_, entries)] = streams or [(events, ())]
        return Found(
            None if epoch is None else epoch.decode(),
            [
                (_place(name), dict(zip(fields[::2], fields[1::2], strict=True)))
                for name, fields in entries
            ],
        )


def _place(name: bytes) -> EventId:
    epoch, _, sequence = name.decode().partition("-")
    return EventId(epoch, int(sequence))
