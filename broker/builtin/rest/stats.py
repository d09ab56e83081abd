"""The route that tells the state of the broker in numbers, as the earlier API does."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import msgspec

from broker import (
    Answer,
    Broker,
    BrokerInfo,
    Counts,
    Description,
    Moment,
    Rates,
    Request,
    Response,
    Route,
    Summary,
    Totals,
    json_response,
    timestamp,
)
from broker.builtin.rest.about_status import NUMBERS, TAG
from broker.builtin.rest.machine import Machine, MachineView
from broker.builtin.rest.reading import read_query
from broker.builtin.rest.wire import Fields


class PluginView(msgspec.Struct, frozen=True):
    """A plugin in use."""

    name: str
    """By which the config knows it."""
    version: str
    """Of its distribution."""


class BrokerView(msgspec.Struct, frozen=True, kw_only=True):
    """What this broker was assembled from: which plugin does what, None for nobody."""

    framework: str
    """What HTTP is served with."""
    version: str
    """Of the broker."""
    db_engine: str
    """The plugin that keeps the messages."""
    auth_method: str | None
    """The plugins that find out who asks."""
    notification: str | None
    """The plugin that tells of events."""
    rate_limit: str | None
    """The plugin that limits how much is asked."""
    graphql: str | None
    """The plugin for GraphQL."""
    capabilities: list[str]
    """What the storage can do."""


class StatsView(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the broker in numbers.

    `messages_pending` and `messages_processing` are what there is now; `messages_total`,
    `messages_processed` and `messages_failed` count since the queues were made, for finished
    messages are removed in time.
    """

    start_time: Moment
    """When the broker was started."""
    uptime_seconds: float
    """For how long it runs."""
    uptime_human: str
    """The same for people: `1 day, 2:03:04`."""
    requests_total: int
    """Requests that were answered."""
    requests_by_route: dict[str, dict[str, int]]
    """The same by the route's template and by method; `*` is any."""
    requests_by_status: dict[str, int]
    """The same by status code."""
    queues_total: int
    """Queues that there are."""
    messages_total: int
    """Messages that were published."""
    messages_pending: int
    """Messages that wait for a consumer."""
    messages_processing: int
    """Messages that consumers have."""
    messages_processed: int
    """Messages that consumers were done with."""
    messages_failed: int
    """Messages that failed."""
    last_error: str | None
    """The kind of the latest error that nobody expected; null: there was none."""
    last_error_timestamp: Moment | None
    """When that was."""
    counts: Counts
    """Messages that there are, by state."""
    totals: Totals
    """What happened in the queues since they were made."""
    rates: Rates
    """How fast it goes."""
    system: MachineView
    """The machine, and this process."""
    broker_specific: BrokerView
    """What the broker is made of."""
    plugins: list[PluginView]
    """All that are in use."""


STATS = Description(
    name="get_stats",
    tag=TAG,
    needs=("admin",),
    query=Fields,
    answers=(Answer(StatsView, NUMBERS),),
)


class StatsRoutes:
    """Numbers, for admins."""

    def __init__(self, broker: Broker, *, data_dir: Path) -> None:
        self._broker = broker
        self._machine = Machine(data_dir, broker.clock)

    def routes(self) -> tuple[Route, ...]:
        """Return the route."""
        return (Route("GET", "/stats", self.stats, described=STATS),)

    async def stats(self, request: Request) -> Response:
        """Show the state of the broker in numbers."""
        identity = await self._broker.identify_request(request)
        read_query(request, Fields)
        queues = await self._broker.queues.summary(identity)
        return json_response(self._view(queues, await self._machine.look()))

    def _view(self, queues: Summary, machine: MachineView) -> StatsView:
        info, served = self._broker.info, self._broker.served
        requests = served.requests()
        now = self._broker.clock.now()
        uptime_ms = now - info.started_at
        counts, totals = queues.counts, queues.totals
        error, error_at = served.last_error or (None, None)
        return StatsView(
            start_time=timestamp(info.started_at),
            uptime_seconds=uptime_ms / 1000,
            uptime_human=str(timedelta(seconds=uptime_ms // 1000)),
            requests_total=requests.total(),
            requests_by_route=_by_route(requests),
            requests_by_status=_by_status(requests),
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
            rates=self._broker.rates(),
            system=machine,
            broker_specific=_specific(info),
            plugins=[PluginView(plugin.name, plugin.version) for plugin in info.plugins],
        )


def _specific(info: BrokerInfo) -> BrokerView:
    enabled = {plugin.name for plugin in info.plugins}
    return BrokerView(
        framework="quart",
        version=info.version,
        db_engine=info.storage,
        auth_method=", ".join(info.authenticators) or None,
        notification="sse" if "sse" in enabled else None,
        rate_limit=info.rate_limiter,
        graphql="graphql" if "graphql" in enabled else None,
        capabilities=sorted(info.capabilities),
    )


def _by_route(requests: Mapping[tuple[str, ...], int]) -> dict[str, dict[str, int]]:
    routes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (method, route, _), count in requests.items():
        routes[route][method] += count
    return dict(routes)


def _by_status(requests: Mapping[tuple[str, ...], int]) -> dict[str, int]:
    statuses: Counter[str] = Counter()
    for (_, _, status), count in requests.items():
        statuses[status] += count
    return dict(statuses)
