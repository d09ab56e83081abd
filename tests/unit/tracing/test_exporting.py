"""Sending spans, and what the log is told of it."""

import logging

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from broker.tracing.exporting import QuietExporter

library = logging.getLogger(__name__)


class Collector(SpanExporter):
    """What fails as told, and says so as the library does."""

    def __init__(self):
        self.says = ()
        self.is_shut_down = False

    def export(self, spans):
        for text in self.says:
            library.warning("%s", text)
        return SpanExportResult.FAILURE if self.says else SpanExportResult.SUCCESS

    def shutdown(self):
        self.is_shut_down = True


@pytest.fixture
def collector():
    return Collector()


@pytest.fixture
def exporter(collector, caplog):
    caplog.set_level("INFO")
    return QuietExporter(collector, "http://collector")


def export(exporter, collector, *says):
    collector.says = says
    return exporter.export([])


def test_the_log_is_told_when_sending_begins_to_fail_and_when_it_works_again(
    exporter, collector, caplog
):
    results = [
        export(exporter, collector),
        export(exporter, collector, "refused", "gave up"),
        export(exporter, collector, "refused", "gave up"),
        export(exporter, collector),
        export(exporter, collector),
    ]

    assert [result is SpanExportResult.SUCCESS for result in results] == [
        *(True, False, False, True, True)
    ]
    assert caplog.messages == [
        "spans cannot be sent to http://collector and are lost until they can: refused",
        "spans are sent to http://collector again",
    ]


def test_a_reason_is_cut(exporter, collector, caplog):
    export(exporter, collector, "x" * 10_000)

    assert len(caplog.messages[0]) < 400


def test_others_who_use_the_library_are_heard_as_before(exporter, caplog):
    library.warning("theirs")

    assert caplog.messages == ["theirs"]


def test_it_shuts_down_what_it_sends_by(exporter, collector):
    exporter.shutdown()

    assert collector.is_shut_down
