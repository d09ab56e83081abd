"""What a row of the table is: a figure a round, their median, and what it is held against."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import msgspec

CORES = os.cpu_count() or 1


class Sample(msgspec.Struct, frozen=True):
    """What one round of a row gave."""

    figure: float
    generator: float = 0.0
    """How many cores the load generator kept busy."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is measured."""

    name: str
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "ratio"


class Measured(msgspec.Struct, frozen=True):
    """A row and the samples of all rounds."""

    row: Row
    samples: list[Sample]

    @property
    def figure(self) -> float:
        """The median of the rounds."""
        return median(sample.figure for sample in self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest round."""
        figures = [sample.figure for sample in self.samples]
        return min(figures), max(figures)

    @property
    def generator_share(self) -> float:
        """The part of all cores that the load generator took."""
        return median(sample.generator for sample in self.samples) / CORES

    @property
    def holds(self) -> bool:
        """Whether the figure is within its bound."""
        low, high = self.row.at_least, self.row.at_most
        return (low is None or self.figure >= low) and (high is None or self.figure <= high)


Suite = Callable[[Path, int], Iterator[Measured]]
"""Measures some rows that share their servers: in a directory of their own, in so many rounds."""


def collect(rows: tuple[Row, ...], rounds: Iterator[tuple[Sample, ...]]) -> Iterator[Measured]:
    """Turn rounds, each with a sample for each row, into rows with all their samples."""
    for row, samples in zip(rows, zip(*rounds, strict=True), strict=True):
        yield Measured(row, list(samples))
