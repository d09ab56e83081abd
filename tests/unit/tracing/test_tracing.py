"""A broker's own provider: its sampler, its resource, its end."""

import asyncio
import logging
from threading import Event

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from broker import Meter
from broker.config import TracesConfig
from broker.tracing import tracing
from broker.tracing.tracing import Tracing


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("SERVICE_NAME", "RESOURCE_ATTRIBUTES", "TRACES_SAMPLER", "TRACES_SAMPLER_ARG"):
        monkeypatch.delenv(f"OTEL_{name}", raising=False)


def make(exporter=None, *, meter=None, **settings):
    exporter = exporter or InMemorySpanExporter()
    config = TracesConfig(endpoint="http://c", **settings)
    return Tracing(config, exporter, version="1.2", meter=meter or Meter())


@pytest.mark.parametrize(
    ("settings", "environment", "sampler"),
    [
        ({}, None, "ParentBased{root:AlwaysOnSampler"),
        ({}, "always_off", "AlwaysOffSampler"),
        ({"ratio": 0.5}, "always_off", "ParentBased{root:TraceIdRatioBased{0.5}"),
        ({"sampler": "always_on"}, "always_off", "AlwaysOnSampler"),
        ({"sampler": "always_off"}, None, "AlwaysOffSampler"),
        ({"sampler": "traceidratio", "ratio": 0}, None, "TraceIdRatioBased{0.0}"),
        ({"sampler": "traceidratio"}, None, "TraceIdRatioBased{1}"),
        ({"sampler": "parentbased_always_on"}, None, "ParentBased{root:AlwaysOnSampler"),
        ({"sampler": "parentbased_always_off"}, None, "ParentBased{root:AlwaysOffSampler"),
        ({"sampler": "parentbased_traceidratio"}, None, "ParentBased{root:TraceIdRatioBased{1}"),
    ],
)
def test_the_sampler_is_that_of_the_config_else_of_the_environment(
    settings, environment, sampler, monkeypatch
):
    if environment:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", environment)

    assert make(**settings).provider.sampler.get_description().startswith(sampler)


@pytest.mark.parametrize(
    ("settings", "environment", "told"),
    [
        ({}, {}, {"service.name": "replika-broker"}),
        ({}, {"OTEL_SERVICE_NAME": "env"}, {"service.name": "env"}),
        ({"service_name": "own"}, {"OTEL_SERVICE_NAME": "env"}, {"service.name": "own"}),
        (
            {"resource": {"a": "own"}},
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=env,a=env,b=env"},
            {"service.name": "env", "a": "own", "b": "env"},
        ),
    ],
)
def test_the_resource_is_that_of_the_config_above_that_of_the_environment(
    settings, environment, told, monkeypatch
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    attributes = make(**settings).provider.resource.attributes
    assert {key: attributes[key] for key in told} == told
    assert attributes["service.version"] == "1.2"


async def test_what_is_left_is_sent_at_the_end():
    exporter = InMemorySpanExporter()
    own = make(exporter)
    await own.open()
    own.provider.get_tracer("test").start_span("last").end()
    await own.close()
    await own.close()

    assert [span.name for span in exporter.get_finished_spans()] == ["last"]


class Hanging(SpanExporter):
    """A collector that answers nobody until it is told to."""

    def __init__(self):
        self.begun, self.going_on = Event(), Event()

    def export(self, spans):
        self.begun.set()
        self.going_on.wait()
        return SpanExportResult.SUCCESS


async def test_the_end_does_not_wait_for_a_collector_that_hangs(monkeypatch, caplog):
    monkeypatch.setattr(tracing, "CLOSE_SECONDS", 0.01)
    hanging = Hanging()
    own = make(hanging)
    await own.open()
    own.provider.get_tracer("test").start_span("last").end()
    try:
        await own.close()

        assert caplog.messages == ["the last spans were not sent within 0.01 s, and are lost"]
    finally:
        hanging.going_on.set()


async def test_spans_for_which_there_is_no_room_are_counted_and_the_log_is_told_once(
    monkeypatch, caplog
):
    """By nobody else either: OpenTelemetry would make a record of each of them."""
    made = []
    make_record = logging.Logger.makeRecord

    def counted(*args, **kwargs):
        made.append(args)
        return make_record(*args, **kwargs)

    monkeypatch.setattr(logging.Logger, "makeRecord", counted)
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    hanging, meter = Hanging(), Meter()
    own = make(hanging, meter=meter)
    await own.open()
    tracer = own.provider.get_tracer("test")
    try:
        for _ in range(4):
            tracer.start_span("sent").end()
        await asyncio.to_thread(hanging.begun.wait)
        for _ in range(8 + 100):
            tracer.start_span("waiting").end()

        assert caplog.messages == [
            "spans come faster than http://c/v1/traces takes them; when 8 wait, others are lost"
        ]
        assert len(made) == 1
        [lost] = meter.read(lambda *failure: pytest.fail(str(failure)))
        assert (lost.name, lost.kind, lost.points) == ("broker_spans_lost", "counter", {(): 100})
    finally:
        hanging.going_on.set()
        await own.close()


async def test_a_span_that_is_not_recorded_takes_no_room(monkeypatch, caplog):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    own = make(ratio=0)
    await own.open()
    for _ in range(2):
        own.provider.get_tracer("test").start_span("unrecorded").end()
    await own.close()

    assert caplog.messages == []


def test_the_provider_of_the_process_stays_what_it_is():
    before = trace.get_tracer_provider()
    make()

    assert trace.get_tracer_provider() is before
