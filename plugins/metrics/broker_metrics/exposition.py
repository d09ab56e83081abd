"""What is measured, as Prometheus reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Any

from broker import Distribution, Measurement
from prometheus_client import Metric, exposition
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.utils import floatToGoString

TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text"

CONTENT_TYPES = {
    TEXT: "text/plain; version=0.0.4; charset=utf-8",
    OPENMETRICS: "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
"""The forms, each with its Content-Type; the first for who takes whatever comes."""

END = b"# EOF\n"
"""What OpenMetrics ends with."""

AT_ONCE = 50
"""How many samples are written before others get their turn, and those of one more combination of
labels: some tenths of a millisecond."""

_HEAD_LINES = 2
"""What stands before the samples of a metric: its help and its type."""


async def write(form: str, measurements: Iterable[Measurement]) -> bytes:
    """Write measurements in one of the forms."""
    encode: Callable[[Any], bytes] = (
        openmetrics.generate_latest if form == OPENMETRICS else exposition.generate_latest
    )
    pieces = []
    for measurement in measurements:
        for number, part in enumerate(_parts(measurement)):
            piece = encode(_Collector(part)).removesuffix(END)
            pieces.append(piece if number == 0 else piece.split(b"\n", _HEAD_LINES)[_HEAD_LINES])
            await asyncio.sleep(0)
    if form == OPENMETRICS:
        pieces.append(END)
    return b"".join(pieces)


class _Collector:
    """One metric, for an encoder that asks a registry for many."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


def _parts(measurement: Measurement) -> Iterator[Metric]:
    """Yield what makes up a metric, in pieces that are not too long; one without samples if there
    is nothing to show."""
    part = _begin(measurement)
    for values, value in measurement.points.items():
        if len(part.samples) >= AT_ONCE:
            yield part
            part = _begin(measurement)
        labels = dict(zip(measurement.labels, map(_encodable, values), strict=True))
        if isinstance(value, Distribution):
            _add_distribution(part, labels, value)
        else:
            suffix = "_total" if measurement.kind == "counter" else ""
            part.add_sample(measurement.name + suffix, labels, value)
    yield part


def _begin(measurement: Measurement) -> Metric:
    return Metric(measurement.name, measurement.description, measurement.kind)


def _add_distribution(metric: Metric, labels: dict[str, str], value: Distribution) -> None:
    bounds = [*map(floatToGoString, value.bounds), "+Inf"]
    counts = [*accumulate(value.counts)]
    for bound, count in zip(bounds, counts, strict=True):
        metric.add_sample(f"{metric.name}_bucket", {**labels, "le": bound}, count)
    metric.add_sample(f"{metric.name}_count", labels, counts[-1])
    metric.add_sample(f"{metric.name}_sum", labels, value.sum)


def _encodable(text: str) -> str:
    """Return a label as it can be sent: a plugin may have made it of anything."""
    return text.encode(errors="replace").decode()
