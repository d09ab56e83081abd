"""What a broker knows about itself: what it is made of, what it served."""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from broker.meter import Counter, Histogram, Labels, Meter
from broker.storage import Capability

REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""The bounds of the buckets for how long an answer took: from a publish to a long-poll."""


class PluginInfo(msgspec.Struct, frozen=True):
    """One plugin in use."""

    name: str
    """The name of its entry point, by which the config knows it."""
    distribution: str
    """The distribution that its entry point is from."""
    version: str
    """The version of that distribution."""


class BrokerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What this broker was assembled from."""

    version: str
    """That of the core."""
    started_at: int
    """When it was assembled, in milliseconds UTC."""
    storage: str
    """The name of the plugin whose storage is in use."""
    capabilities: frozenset[Capability]
    """What that storage declares."""
    authenticators: tuple[str, ...] = ()
    """The names of the plugins that find out who asks, in order."""
    rate_limiter: str | None = None
    """The name of the plugin that limits how much is asked."""
    plugins: tuple[PluginInfo, ...] = ()
    """All that are in use, in the order of the config."""
    security: Mapping[str, Mapping[str, Any]] = {}
    """How clients may show who they are, as the authenticators describe it."""
    anonymous: bool = False
    """Whether they need not."""


class Served:
    """Requests since the start."""

    def __init__(self, meter: Meter | None = None) -> None:
        meter = meter or Meter()
        labels = ("method", "route", "status")
        self.durations: Histogram = meter.histogram(
            "http_request_duration_seconds",
            "From when the body of a request was there until its answer was made; of a stream, "
            "until it began. What was refused before it was looked at is left out.",
            REQUEST_SECONDS,
            labels=labels,
        )
        """How long answers took to make, by method, path of the route, and status."""
        self.others = Counter(len(labels))
        """All other requests, by the same: refused before they were looked at, say."""
        self.last_error: tuple[str, int] | None = None
        """The newest unexpected error and when it was, in milliseconds."""
        self.connections: int | None = None
        """How many are open now; None if the server does not tell."""
        self.lines_dropped: Callable[[], Mapping[tuple[str], int]] = dict
        """Counts the lines that its log dropped, by (where they were meant for,)."""
        meter.counted(
            "http_requests",
            "Requests that were answered, refused, or left by their clients (499).",
            self.requests,
            labels=labels,
        )

    def requests(self) -> collections.Counter[Labels]:
        """Count them all, by (method, path of the route, status)."""
        found: collections.Counter[Labels] = collections.Counter()
        for labels, count in self.others.read().items():
            found[labels] += int(count)
        for labels, measured in self.durations.read().items():
            found[labels] += sum(measured.counts)
        return found

    def note_connections(self, count: int) -> None:
        """Take note of how many connections are open."""
        self.connections = count


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How often things happened, per second."""

    requests_per_second: float
    """Requests that were answered."""
    published_per_second: float
    """Messages that were stored."""
    delivered_per_second: float
    """Leases, of one message each."""
    acked_per_second: float
    """Messages that consumers were done with."""
    failed_per_second: float
    """Messages that were rejected or delivered too often."""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """How often things happened lately, or since the start if that was later; None while nothing
    was compared yet."""

    one_minute: Rate | None = None
    """In the last minute."""
    five_minutes: Rate | None = None
    """In the last five."""
    fifteen_minutes: Rate | None = None
    """In the last fifteen."""
