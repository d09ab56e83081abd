"""Sending spans: to a collector, by OTLP over HTTP, from a thread of its own."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextvars import ContextVar
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

MAX_REASON = 300

MAX_WAITING = 2048
"""How many spans may wait, unless `OTEL_BSP_MAX_QUEUE_SIZE` says another number."""

logger = logging.getLogger("broker.tracing")

_heard: ContextVar[list[str] | None] = ContextVar("broker.tracing.heard", default=None)


def exporter_to(endpoint: str) -> SpanExporter:
    """Return what sends spans to a collector; how long it waits, whom it trusts and what else it
    sends are up to `OTEL_EXPORTER_OTLP_*`."""
    return OTLPSpanExporter(endpoint)


def max_waiting() -> int:
    """Return how many spans may wait to be sent."""
    try:
        return int(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE", MAX_WAITING))
    except ValueError:  # of which OpenTelemetry makes the same
        return MAX_WAITING


class Batches(BatchSpanProcessor):
    """Has spans wait, and sends many at a time.

    OpenTelemetry bounds those that wait, too, but would make a record for the log of each span that
    it drops, on the way of a request; so none comes there for which there is no room.
    """

    def __init__(self, exporter: QuietExporter) -> None:
        super().__init__(exporter, max_queue_size=exporter.max_waiting)
        self._room = exporter

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that is recorded."""
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled and self._room.take():
            super().on_end(span)


class QuietExporter(SpanExporter):
    """Counts the spans that are lost, and tells the log when that begins and when it is over;
    OpenTelemetry would tell again and again, for as long as a collector is down.

    The event loop gives it room to keep and a thread sends; each writes numbers of its own.
    """

    def __init__(
        self, exporter: SpanExporter, endpoint: str, *, max_waiting: int = MAX_WAITING
    ) -> None:
        self.max_waiting = max_waiting
        self._exporter = exporter
        self._endpoint = urlsplit(endpoint)._replace(query="").geturl()  # there may be a key in it
        self._taken = self._begun = self._refused = self._unsent = self._told = 0
        self._overflows = self._fails = False
        logging.getLogger(type(exporter).__module__).addFilter(_HEARING)

    @property
    def lost(self) -> int:
        """How many spans were lost: there was no room for them, or they could not be sent."""
        return self._refused + self._unsent

    def take(self) -> bool:
        """Tell whether one more span may wait; if not, it is lost."""
        if self._taken - self._begun < self.max_waiting:
            self._taken += 1
            return True
        self._refused += 1
        if not (self._overflows or self._fails):
            logger.warning(
                "spans come faster than %s takes them; when %d wait, others are lost",
                self._endpoint,
                self.max_waiting,
            )
        self._overflows = True
        return False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; those that cannot be sent are lost."""
        self._begun += len(spans)
        heard: list[str] = []
        token = _heard.set(heard)
        try:
            result = self._exporter.export(spans)
        finally:
            _heard.reset(token)
        if result is SpanExportResult.SUCCESS:
            self._note_success()
        else:
            self._unsent += len(spans)
            self._note_failure(heard)
        return result

    def shutdown(self) -> None:
        """Send nothing any more."""
        self._exporter.shutdown()

    def _note_failure(self, heard: Sequence[str]) -> None:
        if not self._fails:
            reason = heard[0][:MAX_REASON] if heard else "no reason was given"
            logger.warning(
                "spans cannot be sent to %s and are lost until they can: %s", self._endpoint, reason
            )
        self._fails = True

    def _note_success(self) -> None:
        # At half, or the log would be told of each few that a slow collector takes.
        has_room = 2 * (self._taken - self._begun) <= self.max_waiting
        if has_room and (self._overflows or self._fails):
            self._overflows = self._fails = False
            lost, self._told = self.lost - self._told, self.lost
            logger.info("spans are sent to %s again; %d were lost", self._endpoint, lost)


class _Hearing(logging.Filter):
    """Keeps from the log what is said while a QuietExporter sends, and from nobody else."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the log shall have a record."""
        heard = _heard.get()
        if heard is not None:
            heard.append(record.getMessage())
        return heard is None


_HEARING = _Hearing()
