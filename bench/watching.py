"""What it costs a publish that operators see everything: metrics that are scraped, and logs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from bench.figures import Measured, Row, Sample, collect
from bench.load import Result
from bench.scrapes import Found
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
        _scraped(first, second),
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
    results: dict[int, Result] = {
        turn: servers[turn].load("/queues/q/messages", _MESSAGE, **_LOAD) for turn in turns
    }
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
        yield from (Sample(1000 * seconds) for seconds in msgspec.structs.astuple(found))


@contextmanager
def _scraped(*servers: Server) -> Iterator[None]:
    """Scrape servers once a second while the block runs."""
    is_over = threading.Event()

    def scrape() -> None:
        with httpx.Client(headers={"authorization": f"Bearer {_TOKEN}"}) as client:
            while not is_over.wait(_EVERY_SECONDS):
                for server in servers:
                    url = f"http://127.0.0.1:{server.port}/metrics"
                    client.get(url).raise_for_status()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
