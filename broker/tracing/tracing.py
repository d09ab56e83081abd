"""What a broker traces with: a provider of its own, never that of the process."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import SpanExporter

from broker.delivery import ASGIApp
from broker.meter import Meter
from broker.provider import Provider
from broker.storage import Storage
from broker.tracing.exporting import Batches, QuietExporter, max_waiting
from broker.tracing.failing import note
from broker.tracing.propagation import current_trace_id
from broker.tracing.requests import Find, TracedApp
from broker.tracing.storage import TracedStorage

if TYPE_CHECKING:
    from broker.config import TracesConfig

NAME = "replika-broker"
"""What the service is called unless somebody calls it otherwise."""

SCHEMA = "https://opentelemetry.io/schemas/1.37.0"
"""The version of the conventions that the spans keep."""

CLOSE_SECONDS = 2.0
"""How long the end of the broker waits for the last spans to be sent."""

logger = logging.getLogger("broker.tracing")


class Tracing(Provider):
    """Makes spans of what it wraps and, while it is open, sends them in batches from a thread."""

    note = staticmethod(note)
    trace_id = staticmethod(current_trace_id)

    def __init__(
        self, settings: TracesConfig, exporter: SpanExporter, *, version: str, meter: Meter
    ) -> None:
        self.provider = TracerProvider(
            sampler=_sampler(settings),
            resource=_resource(settings, version),
            shutdown_on_exit=False,
        )
        """What makes the spans of this broker."""
        self._exporter = QuietExporter(exporter, settings.endpoint or "", max_waiting=max_waiting())
        meter.counted(
            "spans_lost",
            "Spans that a collector did not take, or not in time.",
            lambda: self._exporter.lost,
        )
        self._tracer = self.provider.get_tracer("broker", version, SCHEMA)

    def storage(self, name: str, storage: Storage) -> Storage:
        """Return a plugin's storage, traced."""
        return TracedStorage(name, storage, self._tracer)

    def app(self, app: ASGIApp, find: Find) -> ASGIApp:
        """Return an app, each of whose requests is a span, named after the route that `find` finds
        for it."""
        return TracedApp(app, self._tracer, find)

    async def open(self) -> None:
        """Start the thread."""
        self.provider.add_span_processor(Batches(self._exporter))

    async def close(self) -> None:
        """Send the spans that are left; whatever the collector does, this is over in time."""
        loop = asyncio.get_running_loop()
        closed = asyncio.Event()

        def close() -> None:
            self.provider.shutdown()
            with suppress(RuntimeError):  # the loop did not wait, and is closed
                loop.call_soon_threadsafe(closed.set)

        # Not the loop's own executor, for whose threads Python waits without end.
        Thread(target=close, name="broker-tracing", daemon=True).start()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await closed.wait()
        except TimeoutError:
            logger.warning("the last spans were not sent within %g s, and are lost", CLOSE_SECONDS)


def _sampler(settings: TracesConfig) -> sampling.Sampler | None:
    """Return what decides on traces; None: what `OTEL_TRACES_SAMPLER` says."""
    if settings.sampler is None and settings.ratio is None:
        return None
    ratio = sampling.TraceIdRatioBased(1 if settings.ratio is None else settings.ratio)
    samplers: dict[str | None, sampling.Sampler] = {
        "always_on": sampling.ALWAYS_ON,
        "always_off": sampling.ALWAYS_OFF,
        "traceidratio": ratio,
        "parentbased_always_on": sampling.DEFAULT_ON,
        "parentbased_always_off": sampling.DEFAULT_OFF,
    }
    return samplers.get(settings.sampler, sampling.ParentBased(ratio))


def _resource(settings: TracesConfig, version: str) -> Resource:
    told = {SERVICE_VERSION: version, **settings.resource}
    if settings.service_name is not None:
        told[SERVICE_NAME] = settings.service_name
    resource = Resource.create(told)  # below them, what OTEL_* variables say
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: NAME}))
    return resource
