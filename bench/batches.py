"""Batches of 100 over HTTP against SQLite alone with the same table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.figures import Measured, Row, Sample, collect
from bench.servers import Server, broker
from bench.sqlite import BATCH, Bare, bare

_BATCHES = 200
_BODY = "x" * 100
_PUBLISH = Row(
    name="batch publish / executemany of 100",
    at_least=0.35,
)
_LEASE = Row(
    name="lease and settle / SQLite's own",
    at_least=0.30,
)
_RATES = (
    Row(name="  published", unit="/s"),
    Row(name="  leased and settled", unit="/s"),
)


def measure(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure both."""
    with broker(directory) as ours, bare(directory / "bare.db") as alone:
        ours.make_queue("q")
        rows = (_PUBLISH, _LEASE, *_RATES)
        yield from collect(rows, (_round(ours, alone) for _ in range(rounds)))


def _round(ours: Server, alone: Bare) -> tuple[Sample, ...]:
    batch = {"messages": [{"content": _BODY}] * BATCH}
    # A few more than are leased: whoever finds nothing would wait.
    published = ours.load(
        "/queues/q/messages/batch", batch, connections=8, answers=_BATCHES, warm_up=20
    )
    inserted = alone.publish(_BATCHES, _BODY.encode())
    settled = ours.load(
        "/queues/q/messages/lease",
        {"limit": BATCH},
        kind="lease and settle",
        connections=8,
        answers=2 * _BATCHES - 20,
        warm_up=20,
    )
    acked = alone.lease_and_ack(_BATCHES - 10)
    return (
        Sample(published.rate * BATCH / inserted, published.cpu),
        Sample(settled.rate / 2 * BATCH / acked, settled.cpu),
        Sample(published.rate * BATCH, published.cpu),
        Sample(settled.rate / 2 * BATCH, settled.cpu),
    )
