"""The routes that tell how the broker is."""

from __future__ import annotations

from broker import (
    Broker,
    BrokerError,
    Request,
    Response,
    Route,
    Unavailable,
    json_response,
    timestamp,
)
from broker.builtin.rest import about_status as about
from broker.builtin.rest.render import IndexView, ReadyView, StatusView


class StatusRoutes:
    """Liveness and readiness, which need no identity."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        return (
            Route("GET", "/", self.index, is_probe=True, described=about.INDEX),
            Route("GET", "/healthz", self.healthz, is_probe=True, described=about.HEALTHZ),
            Route("GET", "/readyz", self.readyz, is_probe=True, described=about.READYZ),
        )

    async def index(self, _: Request) -> Response:
        """Say what answers here."""
        broker = self._broker
        return json_response(
            IndexView(
                status="draining" if broker.retiring else "running",
                version=broker.info.version,
                timestamp=timestamp(broker.clock.now()),
            )
        )

    async def healthz(self, _: Request) -> Response:
        """Say that only a restart could help, or that there is no need for one; slow to fail."""
        # While it drains it is about to end, and a restart would only cut off who is still served.
        if self._broker.health.is_stuck and not self._broker.retiring:
            raise Unavailable("the upkeep stands still; restart the broker")
        return json_response(StatusView(status="ok"))

    async def readyz(self, request: Request) -> Response:
        """Say whether requests can be served now; who may `admin` sees how each plugin is."""
        reason = await self._broker.why_unready()
        checks = {}
        if not self._broker.retiring and await self._may_know(request):
            problems = await self._broker.check()
            checks = {name: problem or "ok" for name, problem in problems.items()}
        if reason is not None:
            error = Unavailable(reason)
            error.checks = checks
            raise error
        return json_response(ReadyView(status="ready", checks=checks))

    async def _may_know(self, request: Request) -> bool:
        """Tell whether a request comes from who may `admin`; no more is asked while the broker has
        as much to do as it may."""
        if self._broker.turns.are_all_taken:
            return False
        try:
            self._broker.demand_admin(await self._broker.identify_request(request))
        except BrokerError:
            return False
        return True
