"""Where metrics are scraped: on a listener of its own, or on the broker's port with a token."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest

from broker import InvalidToken, Request, Response, Route, Transport, Unauthenticated, choose_type

from broker_metrics.about import METRICS
from broker_metrics.config import Address
from broker_metrics.exposition import CONTENT_TYPES
from broker_metrics.listener import PATH, Listener
from broker_metrics.pulse import Pulse
from broker_metrics.scraping import Scraper


class MetricsTransport(Transport):
    """Answers `GET /metrics`."""

    def __init__(
        self, scraper: Scraper, pulse: Pulse, *, address: Address | None, token: str | None
    ) -> None:
        self.listener = (
            None
            if address is None
            else Listener(address, self.metrics, by_any_name=token is not None)
        )
        """Where it is scraped beside the broker's own port; None for nowhere."""
        self._scraper = scraper
        self._pulse = pulse
        self._token = token

    async def open(self) -> None:
        """Begin to listen; raises CannotListen."""
        if self.listener is not None:
            await self.listener.open()
        self._pulse.open()

    async def close(self) -> None:
        """Listen no more."""
        await self._pulse.close()
        if self.listener is not None:
            await self.listener.close()

    async def notices(self) -> list[str]:
        """Tell who starts the broker where the numbers are, and what others can read on the way."""
        places = [] if self.listener is None else [self.listener.address.url + PATH]
        if self._token is None:
            return [f"metrics: {place}, for this machine alone" for place in places]
        places.append(f"{PATH} on the broker's port")
        lines = [f"metrics: {' and '.join(places)}, with the token"]
        if self.listener is not None and not self.listener.address.is_of_this_machine:
            lines.append(
                f'plugins.metrics.listen: who reaches "{self.listener.address.host}" from '
                "elsewhere does so by plain HTTP, so those on the way can read the token and the "
                "names of queues; leave it out, and /metrics is on the broker's own port, with its "
                "TLS"
            )
        return lines

    def routes(self) -> Sequence[Route]:
        """Return the route on the broker's port, if there is a token for it."""
        if self._token is None:
            return ()
        return (Route("GET", PATH, self.metrics, is_probe=True, described=METRICS),)

    async def metrics(self, request: Request) -> Response:
        """Show the numbers of the broker and its plugins, to whoever shows the token for it: in the
        text format of Prometheus, or as OpenMetrics."""
        self._check_token(request)
        form = choose_type(request, tuple(CONTENT_TYPES))
        body = await self._scraper.scrape(form)
        return Response(body=body, headers=(("content-type", CONTENT_TYPES[form]),))

    def _check_token(self, request: Request) -> None:
        if self._token is None:
            return
        shown = request.headers.get("authorization")
        if shown is None:
            raise Unauthenticated(challenge="Bearer")
        scheme, _, token = shown.partition(" ")
        # Digests, for a comparison of texts of different length would tell how long the token is.
        is_right = compare_digest(_digest(token.strip()), _digest(self._token))
        if scheme.lower() != "bearer" or not is_right:
            raise InvalidToken


def _digest(text: str) -> bytes:
    return sha256(text.encode(errors="surrogateescape")).digest()
