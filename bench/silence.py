"""Subscribers beside some who never read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.figures import Measured, Row, Sample, collect
from bench.servers import Server, audible, beside
from bench.subscribers import Job, Result

SECONDS = float(os.environ.get("BENCH_SECONDS", "12"))
"""How long events go on, in each round alone and beside."""

_RATE = 100
_SILENT = 200


class _Audience(msgspec.Struct, frozen=True, kw_only=True):
    """Who reads what."""

    name: str
    readers: int
    path: str = "/events"
    content_bytes: int = 100


_AUDIENCES = (_Audience(name="events", readers=800),)


def measure(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure how long 100 events a second take to their readers; memory once, over all rounds."""
    directory.mkdir()
    for audience in _AUDIENCES:
        name = f"{audience.name} to {audience.readers}, {_SILENT} silent"
        rows = (
            Row(name=f"{name} / none", at_most=2),
            Row(name="  p99 beside", unit="ms"),
            Row(name="  p99 without", unit="ms"),
        )
        with audible(directory / audience.name) as ours:
            ours.make_queue("q")
            hall = _Hall(ours, audience)
            yield from collect(rows, (tuple(hall.tell(number)) for number in range(rounds)))
            grown = ours.peak_mib() - hall.held_mib
        yield Measured(Row(name="  memory beside", unit="MiB", at_most=64), [Sample(grown)])


class _Hall:
    """A broker and its audience."""

    def __init__(self, ours: Server, audience: _Audience) -> None:
        self.held_mib = 0.0
        """What the broker held when all were there for the first time, and were told nothing."""
        self._ours = ours
        self._audience = audience

    def tell(self, number: int) -> Iterator[Sample]:
        """Tell the readers, beside the silent and without them."""
        # By turns, for the machine is seldom the same for whoever comes second.
        first = self._tell(_SILENT) if number % 2 == 0 else None
        without = self._tell(0)
        among = first or self._tell(_SILENT)
        yield Sample(among.p99 / without.p99, among.cpu)
        yield Sample(among.p99 * 1000, among.cpu)
        yield Sample(without.p99 * 1000, without.cpu)

    def _tell(self, silent: int) -> Result:
        port, path = self._ours.port, self._audience.path
        never_read = Job(port=port, subscribers=silent, path=path, reads=False)
        read = Job(
            port=port,
            subscribers=self._audience.readers,
            path=path,
            publishers=64,
            body=msgspec.json.encode({"content": "x" * self._audience.content_bytes}),
            rate=_RATE,
            seconds=SECONDS,
            warm_up=2,
        )
        with beside("bench.subscribers", never_read), beside("bench.subscribers", read) as readers:
            self.held_mib = self.held_mib or self._ours.resident_mib()
            return msgspec.json.decode(readers.result(), type=Result)
