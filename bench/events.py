"""What it takes to tell subscribers of events, and what publishers pay for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec

from bench import silence
from bench.figures import Measured, Row, Sample, collect
from bench.load import Result as Published
from bench.servers import Server, audible, beside, broadcast, broker
from bench.subscribers import Job, Result

_SERVERS = ("hypercorn", "granian")
_AT_ONCE = (1, 16)
_PATH = "/queues/q/messages"
_MESSAGE = {"content": "x" * 100}
_LOAD = {"connections": 32, "answers": 6000, "warm_up": 300}
_EVENT = re.compile(rb"(?:.+\n)*event: message\.published\n(?:.+\n)+\n")


def measure(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure how fast many are told, beside some who never read, too, and what publishers pay."""
    for server in _SERVERS:
        yield from _tell_many(directory / server, server, rounds)
    yield from silence.measure(directory / "silence", rounds)
    yield from _publish_beside_others(directory, rounds)


def _tell_many(directory: Path, server: str, rounds: int) -> Iterator[Measured]:
    """Measure beside a generator that does nothing but yield the same bytes."""
    rows = tuple(row for at_once in _AT_ONCE for row in _rows(server, at_once))
    with audible(directory, server=server) as ours, broadcast(server=server) as bare:
        ours.make_queue("q")
        event = _event_of(ours)

        def tell(number: int) -> Iterator[Sample]:
            for at_once in _AT_ONCE:
                yield from _tell(ours, bare, event, at_once, is_first=bool(number % 2))

        yield from collect(rows, (tuple(tell(number)) for number in range(rounds)))


def _rows(server: str, at_once: int) -> Iterator[Row]:
    yield Row(name=f"{at_once} at once to 500 on {server} / Quart", at_least=0.7)
    yield Row(name="  told by the broker", unit="/s")
    yield Row(name="  told by a bare generator", unit="/s")


def _event_of(ours: Server) -> bytes:
    """Return an event as the broker tells it, so that the bare app sends the same."""
    came = b""
    with httpx.stream("GET", f"http://127.0.0.1:{ours.port}/events") as answer:
        ours.load(_PATH, _MESSAGE, connections=1, answers=1)
        for piece in answer.iter_raw():
            came += piece
            if found := _EVENT.search(came):
                return found[0]
    raise RuntimeError("the broker ended a subscription")


def _tell(
    ours: Server, bare: Server, event: bytes, at_once: int, *, is_first: bool
) -> Iterator[Sample]:
    def tell(server: Server, body: bytes) -> Result:
        audience = Job(
            port=server.port, subscribers=500, publishers=at_once, body=body, seconds=3, warm_up=0.5
        )
        with beside("bench.subscribers", audience) as told:
            return msgspec.json.decode(told.result(), type=Result)

    # By turns, for the machine is seldom the same for whoever comes second.
    first = tell(ours, msgspec.json.encode(_MESSAGE)) if is_first else None
    by_bare = tell(bare, event)
    by_ours = first or tell(ours, msgspec.json.encode(_MESSAGE))
    yield Sample(by_ours.rate / by_bare.rate, by_ours.cpu)
    yield Sample(by_ours.rate, by_ours.cpu)
    yield Sample(by_bare.rate, by_bare.cpu)


def _publish_beside_others(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure beside subscribers of another queue, and without the plugin."""
    rows = (
        Row(name="publish beside 100 of other queues / alone", at_least=0.95),
        Row(name="  beside", unit="/s"),
        Row(name="  alone", unit="/s"),
        Row(name="  without sse", unit="/s"),
    )
    plain = directory / "plain"
    plain.mkdir()
    with audible(directory / "others") as ours, broker(plain) as without:
        for server in (ours, without):
            server.make_queue("q")
        turns = ((ours, 100), (ours, 0), (without, 0))
        yield from collect(rows, (tuple(_publish(turns, number)) for number in range(rounds)))


def _publish(turns: tuple[tuple[Server, int], ...], number: int) -> Iterator[Sample]:
    def publish(server: Server, others: int) -> Published:
        listening = Job(port=server.port, subscribers=others, path="/events?queue=other")
        with beside("bench.subscribers", listening):
            return server.load(_PATH, _MESSAGE, **_LOAD)

    order = [(number + turn) % len(turns) for turn in range(len(turns))]
    results = {turn: publish(*turns[turn]) for turn in order}
    yield Sample(results[0].rate / results[1].rate, results[0].cpu)
    for turn in range(len(turns)):
        yield Sample(results[turn].rate, results[turn].cpu)
