"""What all queues hold and did, in one set of numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from broker.models import Counts, QueueStatus, Summary, Totals

AT_ONCE = 1000
"""How many queues are added up before others get their turn: about 1 ms."""

Numbers = TypeVar("Numbers", Counts, Totals)


async def sum_up(queues: Sequence[QueueStatus]) -> Summary:
    """Add up the numbers of queues."""
    counts, totals = Counts(), Totals()
    for start in range(0, len(queues), AT_ONCE):
        piece = queues[start : start + AT_ONCE]
        counts = _sum([counts, *(status.counts for status in piece)])
        totals = _sum([totals, *(status.totals for status in piece)])
        await asyncio.sleep(0)
    return Summary(queues=len(queues), counts=counts, totals=totals)


def _sum(all_numbers: Sequence[Numbers]) -> Numbers:
    kind = type(all_numbers[0])
    columns = zip(*map(msgspec.structs.astuple, all_numbers), strict=True)
    return kind(**dict(zip(kind.__struct_fields__, map(sum, columns), strict=True)))
