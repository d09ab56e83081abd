"""What it costs a publish that operators see everything: metrics that are scraped, and logs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Self

import httpx
import msgspec

from bench.figures import Measured, Row, Sample, collect
from bench.load import Result
from bench.scrapes import FORMS, Found
from bench.servers import Server, broker, run_module

_LOAD = {"connections": 32, "answers": 6000, "warm_up": 300}
_MESSAGE = {"content": "x" * 100}
_EVERY_SECONDS = 1.0
_TOKEN = "measured with this token"  # noqa: S105  # it guards nothing
_METRICS = f'[plugins.metrics]\ntoken = "{_TOKEN}"\n'

_ROWS = (
    Row(name="single publish with metrics and logs / without", at_least=0.92),
    Row(name="single publish with metrics / without", at_least=0.92),
    Row(name="  with metrics and logs", unit="/s"),
    Row(name="  with metrics", unit="/s"),
    Row(name="  without", unit="/s"),
    *(
        row
        for storage in ("memory", "SQLite")
        for row in (
            Row(name=f"a scrape of 10 000 queues in {storage}", unit="ms", at_most=200),
            Row(name="  of the processor", unit="ms"),
            Row(name="  the longest that others wait", unit="ms", at_most=50),
            Row(name="  in the text format", unit="ms", at_most=200),
            Row(name="  of the processor", unit="ms"),
            Row(name="  the longest that others wait", unit="ms", at_most=50),
            Row(name="  when 100 000 messages became due", unit="ms"),
            Row(name="  of the processor", unit="ms"),
            Row(name="  the longest that others wait", unit="ms"),
        )
    ),
)


def measure(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure publishes while metrics are scraped once a second and each request is logged."""
    places = [directory / name for name in ("both", "metrics", "neither")]
    for place in places:
        place.mkdir()
    both, metrics, neither = places
    plugins = ("storage_sqlite", "metrics")
    with (
        broker(both, plugins=plugins, tables=_METRICS, logs=True) as first,
        broker(metrics, plugins=plugins, tables=_METRICS) as second,
        broker(neither) as third,
    ):
        servers = [first, second, third]
        for server in servers:
            server.make_queue("q")
        samples = (
            (*_publishes(servers, number), *_scrapes(directory / f"scrapes-{number}"))
            for number in range(rounds)
        )
        yield from collect(_ROWS, samples)


def _publishes(servers: list[Server], number: int) -> Iterator[Sample]:
    # By turns, for the machine is seldom the same for whoever comes later.
    turns = [(number + turn) % len(servers) for turn in range(len(servers))]
    results: dict[int, Result] = {}
    for turn in turns:
        watching = nullcontext() if servers[turn] is servers[-1] else Scraper(servers[turn])
        with watching:
            results[turn] = servers[turn].load("/queues/q/messages", _MESSAGE, **_LOAD)
    without = results[len(servers) - 1]
    for watched in (results[0], results[1]):
        yield Sample(watched.rate / without.rate, watched.cpu)
    for turn in range(len(servers)):
        yield Sample(results[turn].rate, results[turn].cpu)


def _scrapes(directory: Path) -> Iterator[Sample]:
    for storage in ("memory", "storage_sqlite"):
        own = directory / storage
        own.mkdir(parents=True)
        found = msgspec.json.decode(run_module("bench.scrapes", str(own), storage), type=Found)
        for scrape in msgspec.structs.astuple(found):
            yield from (Sample(1000 * seconds) for seconds in msgspec.structs.astuple(scrape))


class Scraper:
    """Scrapes a server once a second, as Prometheus asks, while a block runs; raises at its end
    what went wrong, and RuntimeError if too little was scraped to say what that costs."""

    def __init__(self, server: Server, *, every_seconds: float = _EVERY_SECONDS) -> None:
        self.scrapes = 0
        """How many were answered."""
        self._url = f"http://127.0.0.1:{server.port}/metrics"
        self._every_seconds = every_seconds
        self._is_over = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> Self:
        """Begin."""
        self._began = time.monotonic()
        self._scraping = self._thread.submit(self._scrape)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End."""
        self._is_over.set()
        self._thread.shutdown()
        if kind is not None:
            return
        self._scraping.result()
        # Some may take longer than they should, on a busy machine.
        wanted = (time.monotonic() - self._began) / self._every_seconds / 2
        if self.scrapes < wanted:
            raise RuntimeError(f"only {self.scrapes} scrapes were answered, not {wanted:.0f}")

    def _scrape(self) -> None:
        headers = {"authorization": f"Bearer {_TOKEN}", "accept": FORMS["openmetrics"]}
        with httpx.Client(headers=headers) as client:
            while True:
                answer = client.get(self._url).raise_for_status()
                if b"broker_messages_published_total{" not in answer.content:
                    raise RuntimeError(f"a scrape showed no queue: {answer.text[:200]}")
                self.scrapes += 1
                if self._is_over.wait(self._every_seconds):
                    return
