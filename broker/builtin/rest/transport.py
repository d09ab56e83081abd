"""All REST routes as one transport."""

from __future__ import annotations

from pathlib import Path

from broker import Broker, Route, Transport
from broker.builtin.rest.logs import LogRoutes
from broker.builtin.rest.messages import MessageRoutes
from broker.builtin.rest.queues import QueueRoutes
from broker.builtin.rest.settle import SettleRoutes
from broker.builtin.rest.stats import StatsRoutes
from broker.builtin.rest.status import StatusRoutes
from broker.builtin.rest.streaming import StreamRoutes


class RestTransport(Transport):
    """REST over whatever serves the broker's routes."""

    def __init__(self, broker: Broker, *, data_dir: Path) -> None:
        self._parts = (
            StatusRoutes(broker),
            StatsRoutes(broker, data_dir=data_dir),
            LogRoutes(broker, data_dir=data_dir),
            QueueRoutes(broker),
            MessageRoutes(broker),
            SettleRoutes(broker),
            StreamRoutes(broker),
        )

    def routes(self) -> tuple[Route, ...]:
        """Return every route of the REST API."""
        return tuple(route for part in self._parts for route in part.routes())
