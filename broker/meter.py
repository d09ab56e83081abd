"""Numbers about the broker and its plugins: cheap to count, and shown to whoever asks.

The words are those of OpenTelemetry: a part registers instruments with its meter, and counts or
records with them; a plugin that tells of metrics reads them all by `Broker.measure`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, ClassVar, Literal

import msgspec

from broker.errors import PluginError

PREFIX = "broker_"
"""What the name of each metric begins with."""

MAX_SERIES = 1_000
"""How many combinations of labels an instrument tells apart."""

Labels = tuple[str, ...]
"""The values of labels, in the order of their names."""

Read = Callable[[], float | Mapping[Any, float]]  # `Labels`, in whose place a Mapping takes no pair
"""Returns a number; or, of what has labels, one for each combination of them."""

Failed = Callable[[str, str, BaseException], None]
"""Is told whose code failed, at what, and how."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SUFFIXES = ("_total", "_bucket", "_count", "_sum", "_created")
_RESERVED = ("le", "quantile")


class Distribution(msgspec.Struct, frozen=True):
    """What a histogram recorded under the same labels."""

    bounds: tuple[float, ...]
    """The upper bounds of the buckets, which belong to them; one more bucket has none."""
    counts: tuple[int, ...]
    """How many values fell into each bucket."""
    sum: float
    """Of all values."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What one instrument shows at one moment."""

    name: str
    """With the prefix `broker_`, without what a format puts behind it (`_total`)."""
    description: str
    """What it counts or measures, in one sentence."""
    kind: Literal["counter", "gauge", "histogram"]
    """A counter only grows, a gauge does not."""
    labels: tuple[str, ...]
    """The names of its labels."""
    points: Mapping[Labels, float | Distribution]
    """What it shows, by the values of its labels."""


class Counter:
    """Counts what happens. Call it from one thread."""

    __slots__ = ("_points", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
        self._points: dict[Labels, float] = {} if width else {(): 0}

    def add(self, amount: float = 1, *labels: str) -> None:
        """Count so much more, under the values of all labels in the order of their names.

        They must be few, and none that clients choose: beyond 1000 combinations, all are `_other`.
        """
        try:
            self._points[labels] += amount
        except KeyError:
            labels = _admit(labels, self._width, self._points)
            self._points[labels] = self._points.get(labels, 0) + amount

    def read(self) -> Mapping[Labels, float]:
        """Return what was counted."""
        return self._points


class Histogram:
    """Sorts values into buckets. Call it from one thread."""

    __slots__ = ("_bounds", "_series", "_width")

    def __init__(self, width: int, bounds: Sequence[float]) -> None:
        self._width = width
        self._bounds = tuple(bounds)
        self._series: dict[Labels, list[float]] = {}
        if not width:
            self._begin(())

    def record(self, value: float, *labels: str) -> None:
        """Record a value under the values of all labels, of which the same holds as for `add`."""
        series = self._series.get(labels) or self._begin(labels)
        series[bisect_left(self._bounds, value)] += 1
        series[-1] += value

    def read(self) -> Mapping[Labels, Distribution]:
        """Return what was recorded."""
        return {labels: self._distribution(series) for labels, series in [*self._series.items()]}

    def _begin(self, labels: Labels) -> list[float]:
        """Return the counts of the buckets, and behind them the sum of the values."""
        labels = _admit(labels, self._width, self._series)
        return self._series.setdefault(labels, [0] * (len(self._bounds) + 1) + [0.0])

    def _distribution(self, series: list[float]) -> Distribution:
        *counts, total = series
        return Distribution(self._bounds, tuple(map(int, counts)), total)


class Meter:
    """What a part registers its numbers with. Names are without the prefix `broker_`, which all
    get, and without `_total`, which formats add."""

    OTHER: ClassVar[str] = "_other"
    """What every label is of those that are not told apart, because they are too many."""

    def __init__(self, owner: str = "broker") -> None:
        self._owner = owner
        self._registered: dict[str, _Instrument] = {}

    def of(self, owner: str) -> Meter:
        """Return the meter of another part, a plugin, among whose names and these none is twice."""
        meter = Meter(owner)
        meter._registered = self._registered
        return meter

    def counter(self, name: str, description: str, *, labels: Sequence[str] = ()) -> Counter:
        """Return what counts; raises PluginError if the name is taken."""
        counter = Counter(len(labels))
        self._register(name, description, "counter", labels, counter.read)
        return counter

    def histogram(
        self,
        name: str,
        description: str,
        bounds: Sequence[float],
        *,
        labels: Sequence[str] = (),
    ) -> Histogram:
        """Return what sorts values into buckets with these upper bounds, finite and in rising
        order; raises PluginError if the name is taken."""
        if not bounds or list(bounds) != sorted(set(bounds)):
            raise ValueError(f"the bounds of {name} do not rise: {bounds}")
        if not all(map(isfinite, bounds)):  # the bucket without one is there anyway
            raise ValueError(f"the bounds of {name} are not all finite: {bounds}")
        histogram = Histogram(len(labels), bounds)
        self._register(name, description, "histogram", labels, histogram.read)
        return histogram

    def gauge(self, name: str, description: str, read: Read, *, labels: Sequence[str] = ()) -> None:
        """Show what `read` returns, which is called on the event loop and must not block it;
        raises PluginError if the name is taken."""
        self._register(name, description, "gauge", labels, read)

    def counted(
        self, name: str, description: str, read: Read, *, labels: Sequence[str] = ()
    ) -> None:
        """Show as a counter what is counted elsewhere, as `gauge` does; it must never shrink."""
        self._register(name, description, "counter", labels, read)

    def read(self, failed: Failed) -> Iterator[Measurement]:
        """Yield what all instruments show, those of other owners too; of one that fails, tell
        `failed`."""
        for instrument in [*self._registered.values()]:
            try:
                measurement = instrument.measure()
            # An isolation point: one part's mistake must not hide the numbers of all others.
            except BaseException as error:  # noqa: BLE001  # SystemExit would end the broker
                failed(instrument.owner, "read a metric", error)
            else:
                yield measurement

    def _register(
        self,
        name: str,
        description: str,
        kind: Literal["counter", "gauge", "histogram"],
        labels: Sequence[str],
        read: Callable[[], float | Mapping[Any, float] | Mapping[Labels, Distribution]],
    ) -> None:
        if not _NAME.fullmatch(name) or name.endswith(_SUFFIXES):
            raise ValueError(f"a metric cannot be called {name!r}: write small_letters, no suffix")
        for label in labels:
            if not _NAME.fullmatch(label) or label in _RESERVED:
                raise ValueError(f"a label of {name} cannot be called {label!r}")
        if (taken := self._registered.get(name)) is not None:
            raise PluginError(
                self._owner,
                f'the metric "{name}" is one of "{taken.owner}" already; choose another name',
            )
        instrument = _Instrument(self._owner, PREFIX + name, description, kind, tuple(labels), read)
        self._registered[name] = instrument


class _Instrument(msgspec.Struct, frozen=True):
    """One that is registered, and whose it is."""

    owner: str
    name: str
    description: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    read: Callable[[], float | Mapping[Any, float] | Mapping[Labels, Distribution]]

    def measure(self) -> Measurement:
        shown = self.read()
        points: dict[Labels, float | Distribution] = (
            dict(shown) if isinstance(shown, Mapping) else {(): shown}
        )
        for labels, value in points.items():
            _check_labels(labels, len(self.labels))
            if not isinstance(value, (int, float, Distribution)):
                raise TypeError(f"{self.name} shows {type(value).__name__}, no number")
        return Measurement(
            name=self.name,
            description=self.description,
            kind=self.kind,
            labels=self.labels,
            points=points,
        )


def _admit(labels: Labels, width: int, known: Mapping[Labels, object]) -> Labels:
    """Return the labels under which something new is counted, that there be never too many."""
    _check_labels(labels, width)
    return labels if len(known) < MAX_SERIES else (Meter.OTHER,) * width


def _check_labels(labels: Labels, width: int) -> None:
    if not isinstance(labels, tuple) or len(labels) != width:
        raise TypeError(f"{width} labels are wanted, not {labels!r}")
    for label in labels:
        if not isinstance(label, str):
            raise TypeError(f"a label is {type(label).__name__}, no text")
