"""A broker's own provider: its sampler, its resource, its end."""

from threading import Event

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from broker.config import TracesConfig
from broker.tracing import tracing
from broker.tracing.tracing import Tracing


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("SERVICE_NAME", "RESOURCE_ATTRIBUTES", "TRACES_SAMPLER", "TRACES_SAMPLER_ARG"):
        monkeypatch.delenv(f"OTEL_{name}", raising=False)


def make(exporter=None, **settings):
    exporter = exporter or InMemorySpanExporter()
    return Tracing(TracesConfig(endpoint="http://c", **settings), exporter, version="1.2")


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


async def test_the_end_does_not_wait_for_a_collector_that_hangs(monkeypatch, caplog):
    class Hanging(SpanExporter):
        begun, going_on = Event(), Event()

        def export(self, spans):
            self.begun.set()
            self.going_on.wait()
            return SpanExportResult.SUCCESS

    monkeypatch.setattr(tracing, "CLOSE_SECONDS", 0.01)
    own = make(Hanging())
    await own.open()
    own.provider.get_tracer("test").start_span("last").end()
    try:
        await own.close()

        assert caplog.messages == ["the last spans were not sent within 0.01 s, and are lost"]
    finally:
        Hanging.going_on.set()


def test_the_provider_of_the_process_stays_what_it_is():
    before = trace.get_tracer_provider()
    make()

    assert trace.get_tracer_provider() is before
