"""`kill -9` under load, again and again on one store; `python -m crash.campaign` for a long one."""

import argparse
import asyncio
import os
import random
import signal
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic

from crash.checker import carry_over, check
from crash.client import Client, CutOff
from crash.load import POLICY, QUEUES, Consumer, Publisher, Site
from crash.remains import copy_store, read_remains
from crash.summary import Summary
from served import Served

PUBLISHERS = 8
CONSUMERS = 4
ANSWERS = (50, 2000)
"""A broker is killed after so many answers: 50 to 1500 ms on a small machine."""


class Campaign:
    """One store, and the brokers that are started on it and killed, one after the other."""

    def __init__(self, directory: Path, seed: int) -> None:
        self._directory = directory
        self._rng = random.Random(seed)
        self._site = Site(random.Random(seed + 1))
        self._publishers = [Publisher(self._site, f"p{number}") for number in range(PUBLISHERS)]
        self._consumers = [Consumer(self._site) for _ in range(CONSUMERS)]
        self._served: Served | None = None
        # Bound, so that nobody takes the port while the broker is down.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.summary = Summary(seed)

    async def run(self, cycles: int, report: Callable[[Summary], None] = lambda _: None) -> Summary:
        """Kill so often, then drain; raises AssertionError if a store is not sound."""
        try:
            for _ in range(cycles):
                await self._start()
                await self._load_and_kill()
                self.summary.cycles += 1
                self._look()
                report(self.summary)
            await self._start()
            await self._drain()
            assert self._served.end() == 0
            remaining = self._look()
            assert remaining == 0, f"{remaining} messages remain"
        finally:
            self._port.close()
            if self._served is not None:
                self._served.end(signal.SIGKILL)
        return self.summary

    async def _start(self) -> None:
        began = monotonic()
        is_first = self._served is None
        if is_first:
            self._port.bind(("127.0.0.1", 0))
            port = self._port.getsockname()[1]
            self._served = await asyncio.to_thread(Served, self._directory, port=port)
        else:
            await asyncio.to_thread(self._served.start)
        await self._connected(self._demand_ready)
        seconds = monotonic() - began - _waited_seconds(self._served.process.pid)
        self.summary.slowest_ready = max(self.summary.slowest_ready, seconds)
        if is_first:
            await self._connected(self._make_queues)

    async def _demand_ready(self, client: Client) -> None:
        status, _ = await client.request("GET", "/readyz")
        assert status == 200

    async def _make_queues(self, client: Client) -> None:
        for name, policy in QUEUES.items():
            await client.request("PUT", f"/queues/{name}", {**POLICY, **policy})

    async def _load_and_kill(self) -> None:
        fuse = _Fuse(self._rng, self._served)
        self._site.on_answer = fuse.burn

        async def work_until_killed(worker: Publisher | Consumer) -> None:
            try:
                await self._connected(worker.work)
            except CutOff:
                assert fuse.burnt_at, "a connection was lost while the broker was to serve"

        async with asyncio.TaskGroup() as group:
            for worker in (*self._publishers, *self._consumers):
                group.create_task(work_until_killed(worker))
        assert self._served.end(signal.SIGKILL) in (0, -signal.SIGKILL), "it ended by itself"
        self.summary.lives.append(fuse.burnt_at - fuse.lit_at)

    def _look(self) -> int:
        """Compare what happened with what is left; return how many messages remain."""
        copy = copy_store(self._directory / "broker.db", self._directory / "copy")
        stored = read_remains(copy)
        verdict = check(self._site.history, stored)
        self.summary.add(verdict)
        self._site.history = carry_over(self._site.history, stored)
        return verdict.remaining

    async def _drain(self) -> None:
        """Consume all there is, what failed and what is still under a lease too."""
        for publisher in self._publishers:
            await self._connected(publisher.finish)
        await self._connected(self._consumers[0].drain)

    async def _connected(self, work: Callable[[Client], Awaitable[None]]) -> None:
        client = await Client.connect(self._served.port)
        try:
            await work(client)
        finally:
            await client.close()


def _waited_seconds(pid: int) -> float:
    """Return how long a process was ready to run while others had the CPU; 0 if nobody tells."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


class _Fuse:
    """Kills a broker a moment after a random answer, some while they drain and close."""

    def __init__(self, rng: random.Random, served: Served) -> None:
        self._left = rng.randint(*ANSWERS)
        self._delay = rng.uniform(0, 0.005)
        self._drains = rng.random() < 0.25
        self._patience = rng.uniform(0, 0.2)
        self._process = served.process
        self.lit_at = self.burnt_at = 0.0

    def burn(self) -> None:
        self.lit_at = self.lit_at or monotonic()
        self._left -= 1
        if self._left == 0:
            asyncio.get_running_loop().call_later(self._delay, self._end)

    def _end(self) -> None:
        self.burnt_at = monotonic()
        if self._drains:
            self._process.terminate()
            asyncio.get_running_loop().call_later(self._patience, self._process.kill)
        else:
            self._process.kill()


def main() -> None:
    """Run a campaign and print its table; ends with 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    arguments = parser.parse_args()

    def report(summary: Summary) -> None:
        print(f"\r{summary.cycles} of {arguments.cycles}", end="", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as directory:
        campaign = Campaign(Path(directory), arguments.seed)
        try:
            asyncio.run(campaign.run(arguments.cycles, report))
        finally:
            print(f"\n{campaign.summary}")
    sys.exit(1 if campaign.summary.faults else 0)


if __name__ == "__main__":
    main()
