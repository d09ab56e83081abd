"""Sending spans, and what the log is told of it."""

import logging

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from broker.tracing.exporting import QuietExporter, max_waiting

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
    return QuietExporter(collector, "http://collector?key=hunter2")


def export(exporter, collector, *says, spans=1):
    collector.says = says
    return exporter.export([None] * spans)


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
        "spans are sent to http://collector again; 2 were lost",
    ]
    assert exporter.lost == 2


def fill(exporter, spans):
    """Hand over spans; how many of them may wait."""
    return sum(exporter.take() for _ in range(spans))


def test_spans_without_room_are_lost_and_the_log_is_told_once(exporter, collector, caplog):
    assert fill(exporter, 2048 + 500) == 2048
    export(exporter, collector, spans=1023)  # less than half
    assert fill(exporter, 1024) == 1023
    assert caplog.messages == [
        "spans come faster than http://collector takes them; when 2048 wait, others are lost"
    ]
    assert exporter.lost == 501

    export(exporter, collector, spans=1024)

    assert caplog.messages[1:] == ["spans are sent to http://collector again; 501 were lost"]

    fill(exporter, 1025)
    export(exporter, collector, spans=2048)

    assert caplog.messages[3:] == ["spans are sent to http://collector again; 1 were lost"]


def test_a_collector_that_is_down_is_over_when_there_is_room_again(exporter, collector, caplog):
    fill(exporter, 2048)
    export(exporter, collector, "refused", spans=512)
    fill(exporter, 600)
    export(exporter, collector, spans=512)
    assert caplog.messages == [
        "spans cannot be sent to http://collector and are lost until they can: refused"
    ]

    export(exporter, collector, spans=512)

    assert caplog.messages[1:] == ["spans are sent to http://collector again; 600 were lost"]


def test_how_many_may_wait_is_up_to_the_environment(monkeypatch):
    for value, room in (("5", 5), ("many", 2048), ("", 2048)):
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", value)
        assert max_waiting() == room


def test_a_reason_is_cut(exporter, collector, caplog):
    export(exporter, collector, "x" * 10_000)

    assert len(caplog.messages[0]) < 400


def test_others_who_use_the_library_are_heard_as_before(exporter, caplog):
    library.warning("theirs")

    assert caplog.messages == ["theirs"]


def test_it_shuts_down_what_it_sends_by(exporter, collector):
    exporter.shutdown()

    assert collector.is_shut_down
