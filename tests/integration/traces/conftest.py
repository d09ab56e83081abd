"""Brokers that trace, through every adapter of the routes."""

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from spans import Traced

from broker.tracing import exporting

ENDPOINT = "http://collector.test:4318"


@pytest.fixture
def exporters(monkeypatch):
    """The exporters of the brokers that were assembled, which keep what they get."""
    made = []

    def exporter_to(endpoint):
        made.append(InMemorySpanExporter())
        return made[-1]

    monkeypatch.setattr(exporting, "exporter_to", exporter_to)
    return made


@pytest.fixture
def traced(serve, exporters):
    def start(*, ratio=None, **settings):
        traces = {"endpoint": ENDPOINT, "ratio": ratio}
        call = serve(**{"traces": traces, "anonymous": True, **settings})
        traced = Traced(call, exporters[-1])
        if call("POST", "/queues", json={"name": "q"}).status == 201:
            traced.spans()
        return traced

    return start


@pytest.fixture
def broker(traced):
    return traced()
