"""Rate limits of many who come once: a process of its own, so that its memory is theirs alone.

It prints what came of them as JSON.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import msgspec
from broker_ratelimit.config import RateLimitConfig
from broker_ratelimit.limiter import Limiter
from broker_ratelimit.memory import PAUSE_MS, PIECE, MemoryCounters

from broker import Identity, Spending
from broker.testing import ManualClock

FEW, MANY = 10, 1_000_000
CHECKS = 5000
TURNS = 9

_STEPS = 30_000 // PAUSE_MS + MANY // PIECE
"""For so many pauses time goes on, 90 s after the million came: at most 30 s later they are dead,
and then it is a piece a pause."""

_LIMITS = {"all": {"rate": "1000000/minute"}}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured; times are seconds of the processor."""

    among_few: float
    """How long a check takes among ten keys."""
    among_many: float
    """And among a million."""
    held_mib: float
    """What the million took of the memory."""
    kept_mib: float
    """What of that was still taken when they were dead and nobody had asked again."""
    longest_pause: float
    """How long the loop stood still at most while they were forgotten."""


async def measure() -> Found:
    """Check ten clients and a million by turns, and let the million die."""
    few, _ = await _filled(FEW)
    before = resident_mib()
    many, clock = await _filled(MANY)
    held = resident_mib() - before
    # By turns, for the machine is seldom the same for whoever comes second. Among the many it is
    # always others who ask, which few processors have at hand.
    times = [
        (await _check(few, range(FEW)), await _check(many, random.sample(range(MANY), CHECKS)))
        for _ in range(TURNS)
    ]
    pauses = []
    clock.advance(90)
    for _ in range(_STEPS):
        start = time.thread_time()
        clock.advance(PAUSE_MS / 1000)
        pauses.append(time.thread_time() - start)
    return Found(
        among_few=median(first for first, _ in times),
        among_many=median(second for _, second in times),
        held_mib=held,
        kept_mib=resident_mib() - before,
        longest_pause=max(pauses),
    )


async def _filled(keys: int) -> tuple[Limiter, ManualClock]:
    clock = ManualClock()
    config = RateLimitConfig.model_validate({"limits": _LIMITS})
    limiter = Limiter(config, counters=MemoryCounters(clock))
    await limiter.open()
    for number in range(keys):
        await limiter.spend([_spending(number)])
    return limiter, clock


async def _check(limiter: Limiter, who: range | list[int]) -> float:
    spendings = [_spending(number) for number in islice(cycle(who), CHECKS)]
    start = time.thread_time()
    for spending in spendings:
        await limiter.spend([spending])
    return (time.thread_time() - start) / CHECKS


def _spending(number: int) -> Spending:
    identity = Identity(subject=f"client-{number}", scopes=frozenset())
    return Spending(activity="publish", peer="", identity=identity, queue="q")


def resident_mib() -> float:
    """Return the memory that this process holds, in MiB."""
    status = Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(measure())))
