"""The engine's own numbers."""

from __future__ import annotations

from broker.isolation import Failures
from broker.meter import Meter
from broker.operations.places import Places
from broker.operations.streams import Streams
from broker.status import Served
from broker.turn import Turns

UPKEEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""The bounds of the buckets for how long upkeep took."""


class Instruments:
    """What the engine counts and records with."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.rejected = meter.counter(
            "ratelimit_rejected",
            "Requests and messages on streams that a rate limit refused, by the limit.",
            labels=("limit",),
        )
        self.credentials_refused = meter.counter(
            "credentials_refused", "Requests whose credentials nobody accepted."
        )
        self.upkeep_seconds = meter.histogram(
            "maintenance_seconds",
            "How long the storage took for a piece of its upkeep.",
            UPKEEP_SECONDS,
        )
        self.upkeep_failures = meter.counter(
            "maintenance_failures", "How often the storage failed at its upkeep."
        )

    def show(
        self, *, served: Served, turns: Turns, waiting: Places, streams: Streams, failures: Failures
    ) -> None:
        """Show what is counted elsewhere."""
        self._meter.gauge(
            "connections_open",
            "Connections of clients; Granian does not tell.",
            lambda: {} if served.connections is None else served.connections,
        )
        self._meter.gauge(
            "http_requests_in_flight",
            "Requests that are worked at; those that wait for messages are not.",
            lambda: turns.in_flight,
        )
        self._meter.gauge(
            "http_requests_waiting", "Requests that wait for messages.", lambda: waiting.in_all
        )
        self._meter.gauge(
            "streams_open",
            "Answers that go on, by the plugin whose they are.",
            streams.count_by_plugin,
            labels=("plugin",),
        )
        self._meter.counted(
            "plugin_failures",
            "How often a plugin failed, by what it failed to do.",
            lambda: failures,
            labels=("plugin", "step"),
        )
        self._meter.counted(
            "log_lines_dropped",
            "Lines of the log that could not be written, by where: to stderr or to the files.",
            lambda: served.lines_dropped(),  # noqa: PLW0108  # it is not known yet who counts them
            labels=("to",),
        )
