"""Single publishes against a bare ASGI app on the same server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.figures import Measured, Row, Sample, collect
from bench.servers import Server, broker, echo

_LOAD = {"connections": 32, "answers": 6000, "warm_up": 300}
_MESSAGE = {"content": "x" * 100}
_BOUNDS = {"hypercorn": 0.75, "granian": 0.40}


def on_hypercorn(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure on the default server."""
    return _measure("hypercorn", directory, rounds)


def on_granian(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure on the other."""
    return _measure("granian", directory, rounds)


def _measure(server: str, directory: Path, rounds: int) -> Iterator[Measured]:
    row = Row(
        name=f"single publish on {server} / bare echo",
        at_least=_BOUNDS[server],
    )
    rates = (
        Row(name="  publishes", unit="/s"),
        Row(name="  the slowest of 100 publishes", unit="ms"),
        Row(name="  echoes", unit="/s"),
    )
    with broker(directory, server=server) as ours, echo(server=server) as bare:
        ours.make_queue("q")
        yield from collect((row, *rates), (_round(ours, bare) for _ in range(rounds)))


def _round(ours: Server, bare: Server) -> tuple[Sample, ...]:
    echoed = bare.load("/queues/q/messages", _MESSAGE, **_LOAD)
    published = ours.load("/queues/q/messages", _MESSAGE, **_LOAD)
    return (
        Sample(published.rate / echoed.rate, published.cpu),
        Sample(published.rate, published.cpu),
        Sample(published.p99 * 1000, published.cpu),
        Sample(echoed.rate, echoed.cpu),
    )
