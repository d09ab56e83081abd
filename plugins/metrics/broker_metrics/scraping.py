"""A scrape: looked at and written once, however many ask."""

from __future__ import annotations

import asyncio
import logging

from broker import Broker, Clock, Measurement, Meter

from broker_metrics.exposition import write
from broker_metrics.process import process_numbers
from broker_metrics.queues import QueueNumbers

LASTS_MS = 1_000
"""How long a scrape is good for, so that many who scrape cost no more than one."""

PATIENCE_SECONDS = 5.0
"""How long the storage may take to tell of its queues: without them, there is still all else."""


class Scraper:
    """Looks at everything when somebody asks and the last look is too old; who asks while others
    wait for that gets the same."""

    def __init__(
        self, broker: Broker, queues: QueueNumbers, *, clock: Clock, logger: logging.Logger
    ) -> None:
        self._broker = broker
        self._queues = queues
        self._clock = clock
        self._logger = logger
        self._asking = asyncio.Lock()
        self._lasts_until: int | None = None
        self._measured: list[Measurement] = []
        self._written: dict[str, bytes] = {}
        self._is_ready = False

    def show(self, meter: Meter) -> None:
        """Register what is found out for a scrape alone."""
        meter.gauge(
            "ready",
            "Whether the broker can serve requests: 1 if /readyz answers 200, else 0.",
            lambda: self._is_ready,
        )

    async def scrape(self, form: str) -> bytes:
        """Return all metrics in a form, at most a second old."""
        async with self._asking:
            now = self._clock.now()
            if self._lasts_until is None or now >= self._lasts_until:
                await self._look()
                self._measured = [*self._broker.measure(), *process_numbers()]
                self._written.clear()
                self._lasts_until = now + LASTS_MS
            if form not in self._written:
                self._written[form] = await write(form, self._measured)
            return self._written[form]

    async def _look(self) -> None:
        self._is_ready = await self._broker.why_unready() is None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                overview = await self._broker.queues.overview()
        # An isolation point: whoever scrapes must see the more when the storage is broken.
        except Exception:
            self._queues.hide()
            self._logger.exception("the queues cannot be looked at")
        else:
            await self._queues.look(overview)
