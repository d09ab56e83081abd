"""The process itself, under the names that Prometheus' own libraries give its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from broker import Measurement
from prometheus_client import ProcessCollector


def process_numbers() -> Iterator[Measurement]:
    """Yield the processor's time, memory and open files; nothing where there is no /proc."""
    for metric in ProcessCollector(registry=None).collect():
        [sample] = metric.samples
        yield Measurement(
            name=metric.name,
            description=metric.documentation,
            kind="counter" if metric.type == "counter" else "gauge",
            labels=(),
            points={(): sample.value},
        )
