"""The state of the broker in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from broker import Counts, PluginInfo, Rates, Totals

from broker_graphql.execution import Execution
from broker_graphql.fields import Resolver


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What REST tells at `/stats` of the broker itself, as much as has a name beforehand."""

    version: str
    start_time: int
    uptime_seconds: float
    requests_total: int
    queues_total: int
    messages_total: int
    messages_pending: int
    messages_processing: int
    messages_processed: int
    messages_failed: int
    counts: Counts
    totals: Totals
    rates: Rates
    last_error: str | None
    last_error_timestamp: int | None
    storage: str
    capabilities: Sequence[str]
    plugins: Sequence[PluginInfo]


async def stats(execution: Execution, _: Any) -> Stats:
    """Return the numbers."""
    broker = execution.broker
    summary = await broker.queues.summary(execution.identity)
    info, served = broker.info, broker.served
    last_error, last_error_at = served.last_error or (None, None)
    return Stats(
        version=info.version,
        start_time=info.started_at,
        uptime_seconds=(broker.clock.now() - info.started_at) / 1000,
        requests_total=served.requests().total(),
        queues_total=summary.queues,
        messages_total=summary.totals.published,
        messages_pending=summary.counts.pending,
        messages_processing=summary.counts.processing,
        messages_processed=summary.totals.acked,
        messages_failed=summary.totals.failed,
        counts=summary.counts,
        totals=summary.totals,
        rates=broker.rates(),
        last_error=last_error,
        last_error_timestamp=last_error_at,
        storage=info.storage,
        capabilities=sorted(info.capabilities),
        plugins=info.plugins,
    )


STATS: dict[str, Resolver] = {"Query.stats": stats}
