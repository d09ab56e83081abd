"""Honest clients beside hostile and broken ones, on both servers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from bench import crowd
from bench.figures import Measured, Row, Sample, collect
from bench.load import Result
from bench.servers import Server, beside, broker

_SERVERS = ("hypercorn", "granian")
_PATH = "/queues/q/messages"
_MESSAGE = {"content": "x" * 100}
_CONNECTIONS = 8
_SHARE = 3
"""Honest clients ask for a third of what the broker can do: with more they wait for each other."""
_QUIET_SECONDS = 4
_LEAST_ANSWERS = 1000


class _Attack(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    crowd: dict[str, Any]
    seconds: int = 5
    """How long it is watched: until the server has ended each connection once, if it does."""
    is_weighed: bool = False
    """Whether the memory that the broker holds meanwhile is told, too."""


_ATTACKS = (
    _Attack(
        name="2 000 idle",
        crowd={"kind": "idle", "connections": 2000, "rate": 400},
        seconds=6,
        is_weighed=True,
    ),
    _Attack(
        name="2 000 kept alive",
        crowd={"kind": "kept alive", "connections": 2000, "rate": 400},
        seconds=6,
    ),
    _Attack(
        name="200 slow heads",
        crowd={"kind": "slow heads", "connections": 200, "rate": 200},
        seconds=6,
    ),
    _Attack(
        name="200 slow bodies",
        crowd={"kind": "slow bodies", "connections": 200, "rate": 200},
        seconds=16,
        is_weighed=True,
    ),
    _Attack(
        name="200/s long heads",
        crowd={"kind": "long heads", "connections": 8, "rate": 200},
    ),
    _Attack(
        name="200/s long bodies",
        crowd={"kind": "long bodies", "connections": 8, "rate": 200},
    ),
    _Attack(
        name="200/s bad tokens",
        crowd={"kind": "bad tokens", "connections": 8, "rate": 200},
    ),
    _Attack(
        name="5/s bad tokens, 16 MB",
        crowd={"kind": "bad tokens", "connections": 8, "rate": 5, "content_bytes": 16_000_000},
    ),
)


def measure(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure publishes at a fixed rate, alone and beside each attack."""
    for server in _SERVERS:
        own = directory / server
        own.mkdir()
        rows = tuple(chain.from_iterable(_rows(attack, server) for attack in _ATTACKS))
        with broker(own, server=server, plugins=("storage_sqlite", "auth_jwt")) as ours:
            ours.make_queue("q")
            yield from collect(rows, (tuple(_round(ours)) for _ in range(rounds)))


def _rows(attack: _Attack, server: str) -> Iterator[Row]:
    yield Row(name=f"{server}, {attack.name} / none", at_most=2)
    yield Row(name="  p99 beside", unit="ms")
    yield Row(name="  p99 without", unit="ms")
    if attack.is_weighed:
        yield Row(name="  memory of the broker", unit="MiB")


def _round(ours: Server) -> Iterator[Sample]:
    options = {"connections": _CONNECTIONS, "answers": 3000, "warm_up": 300}
    rate = ours.load(_PATH, _MESSAGE, **options).rate / _SHARE
    for attack in _ATTACKS:
        yield from _beside(ours, attack, rate)


def _beside(ours: Server, attack: _Attack, rate: float) -> Iterator[Sample]:
    def publish(seconds: int) -> Result:
        answers, warm_up = max(_LEAST_ANSWERS, int(rate * seconds)), int(rate)
        return ours.load(
            _PATH, _MESSAGE, connections=_CONNECTIONS, rate=rate, answers=answers, warm_up=warm_up
        )

    quiet = publish(_QUIET_SECONDS)
    with beside("bench.crowd", crowd.Job(port=ours.port, **attack.crowd)) as attackers:
        attacked = publish(attack.seconds)
        both = attacked.cpu + attackers.cpu()
        memory = ours.resident_mib()
    yield Sample(attacked.p99 / quiet.p99, both)
    yield Sample(attacked.p99 * 1000, both)
    yield Sample(quiet.p99 * 1000, quiet.cpu)
    if attack.is_weighed:
        yield Sample(memory, both)
