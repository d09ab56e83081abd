"""Reading the order of all nodes' events, from a place on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress

from broker_sse.crossing import Crossing, Fields, read_crossing
from broker_sse.entry import Entry, EventId
from broker_sse.log import EventLog
from broker_sse.outgoing import Outgoing
from broker_sse.redis_order import RedisOrder
from broker_sse.waking import wakes

REACH_SECONDS = 0.5
"""How far behind another broker this one may be before its clients are told of a gap."""


class RedisReader:
    """Tells the hub what was put into the order, and wakes who waits for what others brought.

    Sequences in an order follow each other, so whatever is missing is noticed.
    """

    def __init__(
        self,
        log: EventLog,
        order: RedisOrder,
        *,
        node: str,
        outgoing: Outgoing,
        logger: logging.Logger,
    ) -> None:
        """`log`: whose hub is told, and who wakes. `outgoing`: the events of this `node`."""
        self._log = log
        self._order = order
        self._node = node
        self._outgoing = outgoing
        self._logger = logger
        self._has_skipped = False
        self._progress = asyncio.Event()
        self.stands: EventId | None = None
        """The place of what was read last; None as long as nothing was."""

    async def begin(self, place: EventId, *, history: int) -> None:
        """Stand at a place, or behind it; the hub learns what is left of so many events before, and
        tells nobody. Raises OSError."""
        found: list[tuple[EventId, Fields]] = []
        stands = EventId(place.epoch, max(0, place.sequence - history))
        while stands.sequence < place.sequence:
            more = (await self._order.read(stands, wait=False)).entries
            if more:
                found += more
                stands = more[-1][0]
            else:  # somebody removed them
                found.clear()
                stands = place
        before = _before(found[0][0]) if found else stands
        entries = [entry for at, fields in found for entry in self._take(at, fields)]
        self._log.hub.begin(entries, before=before)
        self.stands = stands

    async def follow(self) -> None:
        """Tell of everything from where it stands; raises OSError."""
        while True:
            assert self.stands is not None
            found = await self._order.read(self.stands)
            entries: list[Entry] = []
            for place, fields in found.entries:
                if reason := self._missing(place):
                    self._log.hub.tell(entries)
                    entries = []
                    self._move(_before(place), reason)
                self.stands = place
                entries += self._take(place, fields)
            self._log.hub.tell(entries)
            self._progress.set()
            self._progress = asyncio.Event()
            if not found.entries and found.epoch not in (None, self.stands.epoch):
                # It was there already when nothing more was found of the one before.
                self._move(EventId(found.epoch, 0), "order-ended")

    async def reach(self, place: EventId) -> None:
        """Return once it stands at a place of its order, or after a moment; at once if that is
        none of this order."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REACH_SECONDS):
                while self._is_ahead(place):
                    await self._progress.wait()

    def _is_ahead(self, place: EventId) -> bool:
        stands = self.stands
        return stands is not None and (
            place.epoch == stands.epoch and place.sequence > stands.sequence
        )

    def _missing(self, place: EventId) -> str | None:
        """Tell why something is missing before a place; None if nothing is."""
        assert self.stands is not None
        if place.epoch != self.stands.epoch:
            return "order-ended"
        return "trimmed" if _before(place) != self.stands else None

    def _take(self, place: EventId, fields: Fields) -> Iterator[Entry]:
        crossing = self._read(fields)
        if crossing is None:
            return
        event = crossing.event
        if crossing.node == self._node:
            if not self._outgoing.come_back(crossing.number):
                return  # it was told while Redis was away
        else:
            for queue, count in wakes(event):
                self._log.wake(queue, count)
        yield Entry(place, event)

    def _move(self, place: EventId, reason: str) -> None:
        self.stands = place
        self._log.hub.announce_gap(reason)

    def _read(self, fields: Fields) -> Crossing | None:
        crossing = read_crossing(fields)
        if crossing is None and not self._has_skipped:
            self._has_skipped = True
            self._logger.warning(
                "events of brokers of another version are skipped; this is said once"
            )
        return crossing


def _before(place: EventId) -> EventId:
    return EventId(place.epoch, place.sequence - 1)
