"""The routes that tell how the broker is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import msgspec

from broker import (
    Broker,
    Counts,
    Request,
    Response,
    Route,
    Summary,
    Totals,
    Unavailable,
    json_response,
    timestamp,
)
from broker.builtin.rest.machine import Machine, look_at_machine
from broker.builtin.rest.reading import identify, read_query
from broker.builtin.rest.wire import Fields


class PluginView(msgspec.Struct, frozen=True):
    """A plugin in use."""

    name: str
    version: str


class BrokerView(msgspec.Struct, frozen=True, kw_only=True):
    """What this broker was assembled from."""

    storage: str
    capabilities: list[str]
    plugins: list[PluginView]


class StatsView(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the broker in numbers.

    `messages_pending` and `messages_processing` are what there is now; `messages_total`,
    `messages_processed` and `messages_failed` count since the queues were made, for finished
    messages are removed in time.
    """

    start_time: str
    uptime_seconds: float
    uptime_human: str
    requests_total: int
    requests_by_route: dict[str, int]
    requests_by_status: dict[str, int]
    queues_total: int
    messages_total: int
    messages_pending: int
    messages_processing: int
    messages_processed: int
    messages_failed: int
    last_error: str | None
    last_error_timestamp: str | None
    counts: Counts
    totals: Totals
    system: Machine
    broker_specific: BrokerView
    plugins: list[PluginView]


class StatusRoutes:
    """Liveness, readiness, numbers. Only the numbers need an identity."""

    def __init__(self, broker: Broker, *, data_dir: Path) -> None:
        self._broker = broker
        self._data_dir = data_dir

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        return (
            Route("GET", "/", self.index),
            Route("GET", "/healthz", self.healthz),
            Route("GET", "/readyz", self.readyz),
            Route("GET", "/stats", self.stats),
        )

    async def index(self, _: Request) -> Response:
        """Say what answers here."""
        broker = self._broker
        return json_response(
            {
                "name": "Replika Broker",
                "status": "draining" if broker.retiring else "running",
                "version": broker.info.version,
                "timestamp": timestamp(broker.clock.now()),
            }
        )

    async def healthz(self, _: Request) -> Response:
        """Say that the event loop runs; slow to fail, for a failure means a restart."""
        return json_response({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """Say whether requests can be served now; raises Unavailable."""
        if self._broker.retiring:
            raise Unavailable("draining")
        problems = await self._broker.check()
        broken = ", ".join(f'"{name}"' for name, problem in problems.items() if problem)
        if broken:
            raise Unavailable(f"not working now: {broken}")
        return json_response({"status": "ready"})

    async def stats(self, request: Request) -> Response:
        """Show the numbers."""
        identity = await identify(self._broker, request)
        read_query(request, Fields)
        queues = await self._broker.queues.summary(identity)
        machine = await asyncio.to_thread(look_at_machine, self._data_dir)
        return json_response(self._view(queues, machine))

    def _view(self, queues: Summary, machine: Machine) -> StatsView:
        info, served = self._broker.info, self._broker.served
        now = self._broker.clock.now()
        uptime_ms = now - info.started_at
        counts, totals = queues.counts, queues.totals
        error, error_at = served.last_error or (None, None)
        plugins = [PluginView(plugin.name, plugin.version) for plugin in info.plugins]
        return StatsView(
            start_time=timestamp(info.started_at),
            uptime_seconds=uptime_ms / 1000,
            uptime_human=str(timedelta(seconds=uptime_ms // 1000)),
            requests_total=served.requests.total(),
            requests_by_route=_sum_by((route, n) for (route, _), n in served.requests.items()),
            requests_by_status=_sum_by(
                (str(status), n) for (_, status), n in served.requests.items()
            ),
            queues_total=queues.queues,
            messages_total=totals.published,
            messages_pending=counts.pending,
            messages_processing=counts.processing,
            messages_processed=totals.acked,
            messages_failed=totals.failed,
            last_error=error,
            last_error_timestamp=timestamp(error_at),
            counts=counts,
            totals=totals,
            system=machine,
            broker_specific=BrokerView(
                storage=info.storage, capabilities=sorted(info.capabilities), plugins=plugins
            ),
            plugins=plugins,
        )


def _sum_by(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for key, count in pairs:
        sums[key] += count
    return dict(sums)
