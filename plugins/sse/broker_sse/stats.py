"""What queues hold and how fast it goes, once a second, for those who ask for it."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec
from broker import (
    Broker,
    BrokerError,
    Identity,
    Overview,
    QueueStatus,
    Totals,
    timestamp,
    write_event,
)

from broker_sse.filters import Filter

EVERY_MS = 1_000

AT_ONCE = 20
"""How many queues are summed up before others get their turn: the worst of globs take 3 ms for one
of a long name."""

logger = logging.getLogger("broker.plugins.sse")


class StatsView(msgspec.Struct, kw_only=True):
    """Sums over queues; rates are since the last one, null in the first."""

    timestamp: str
    """When the queues were looked at."""
    queues: int = 0
    """How many there are."""
    pending: int = 0
    """Messages that wait for a consumer, `scheduled` ones too."""
    processing: int = 0
    """Messages that are leased."""
    processed: int = 0
    """Messages that were acked and are kept."""
    failed: int = 0
    """Messages that failed and stayed."""
    scheduled: int = 0
    """Messages that can be leased later."""
    published_per_second: float | None = None
    """Messages that were stored."""
    delivered_per_second: float | None = None
    """Leases, of one message each."""
    acked_per_second: float | None = None
    """Messages that consumers were done with."""


class Watcher(Protocol):
    """Who asks for stats: of which queues, and as whom."""

    wants: Filter
    identity: Identity

    def show(self, piece: bytes) -> None:
        """Take the newest stats, as they are sent."""


class Stats:
    """Looks at the queues as long as somebody watches, and sums them up for all who may read the
    same."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._watchers: dict[Watcher, None] = {}
        self._is_watched = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def join(self, watcher: Watcher) -> None:
        """Show one more the stats."""
        self._watchers[watcher] = None
        self._is_watched.set()

    def leave(self, watcher: Watcher) -> None:
        """Show one less; harmless if it never joined."""
        self._watchers.pop(watcher, None)
        if not self._watchers:
            self._is_watched.clear()

    def start(self) -> None:
        """Look at the queues from now on; `stop` must follow."""
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        while True:
            await self._is_watched.wait()
            last: Overview | None = None
            while self._watchers:
                begun = self._broker.clock.now()
                last = await self._look(last)
                at = begun if last is None else max(begun, last.at)
                await self._broker.clock.sleep_until(at + EVERY_MS)

    async def _look(self, last: Overview | None) -> Overview | None:
        """Show what is new since the last look, and return it."""
        try:
            overview = await self._broker.queues.overview()
            if overview is not last:
                await self._tell(overview, last)
        except BrokerError:
            return last  # for now: nobody can be shown anything
        # An isolation point: the broker goes on without its stats, and the next look may succeed.
        except Exception:
            logger.exception("the queues cannot be looked at")
            return last
        return overview

    async def _tell(self, overview: Overview, last: Overview | None) -> None:
        groups: dict[tuple[Identity, Filter], list[Watcher]] = defaultdict(list)
        for watcher in self._watchers:
            groups[watcher.identity, watcher.wants].append(watcher)
        totals = {} if last is None else {one.queue.id: one.totals for one in last.queues}
        for (identity, wants), watchers in groups.items():
            try:
                readable = await self._readable(identity, wants, overview.queues)
            except BrokerError:
                continue  # who authorises cannot tell now
            view = _sum(overview.at, readable)
            if last is not None:
                _rate(view, readable, totals, seconds=(overview.at - last.at) / 1_000)
            piece = write_event("stats", msgspec.json.encode(view))
            for watcher in watchers:
                watcher.show(piece)

    async def _readable(
        self, identity: Identity, wants: Filter, queues: Iterable[QueueStatus]
    ) -> list[QueueStatus]:
        found = []
        for number, status in enumerate(queues):
            name = status.queue.name
            if wants.covers(name) and self._broker.permits(identity, "read", name):
                found.append(status)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        return found


def _sum(at: int, queues: Iterable[QueueStatus]) -> StatsView:
    view = StatsView(timestamp=timestamp(at))
    for status in queues:
        counts = status.counts
        view.queues += 1
        view.pending += counts.pending
        view.processing += counts.processing
        view.processed += counts.processed
        view.failed += counts.failed
        view.scheduled += counts.scheduled
    return view


def _rate(
    view: StatsView, queues: Iterable[QueueStatus], before: Mapping[int, Totals], *, seconds: float
) -> None:
    published = delivered = acked = 0
    for status in queues:
        # A queue that is new has counted from nothing.
        now, then = status.totals, before.get(status.queue.id) or Totals()
        published += now.published - then.published
        delivered += now.delivered - then.delivered
        acked += now.acked - then.acked
    view.published_per_second = round(published / seconds, 3)
    view.delivered_per_second = round(delivered / seconds, 3)
    view.acked_per_second = round(acked / seconds, 3)
