"""Sending spans: to a collector, by OTLP over HTTP, from a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextvars import ContextVar

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

MAX_REASON = 300

logger = logging.getLogger("broker.tracing")

_heard: ContextVar[list[str] | None] = ContextVar("broker.tracing.heard", default=None)


def exporter_to(endpoint: str) -> SpanExporter:
    """Return what sends spans to a collector; how long it waits, whom it trusts and what else it
    sends are up to `OTEL_EXPORTER_OTLP_*`."""
    return QuietExporter(OTLPSpanExporter(endpoint), endpoint)


class QuietExporter(SpanExporter):
    """Tells the log when spans cannot be sent any more, and when they can again; OpenTelemetry
    would tell several times for each batch, for as long as a collector is down."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._fails = False
        logging.getLogger(type(exporter).__module__).addFilter(_HEARING)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; those that cannot be sent are lost."""
        heard: list[str] = []
        token = _heard.set(heard)
        try:
            result = self._exporter.export(spans)
        finally:
            _heard.reset(token)
        fails = result is not SpanExportResult.SUCCESS
        if fails and not self._fails:
            reason = heard[0][:MAX_REASON] if heard else "no reason was given"
            logger.warning(
                "spans cannot be sent to %s and are lost until they can: %s", self._endpoint, reason
            )
        elif self._fails and not fails:
            logger.info("spans are sent to %s again", self._endpoint)
        self._fails = fails
        return result

    def shutdown(self) -> None:
        """Send nothing any more."""
        self._exporter.shutdown()


class _Hearing(logging.Filter):
    """Keeps from the log what is said while a QuietExporter sends, and from nobody else."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the log shall have a record."""
        heard = _heard.get()
        if heard is not None:
            heard.append(record.getMessage())
        return heard is None


_HEARING = _Hearing()
