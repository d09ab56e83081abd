"""What all queues hold and did, in one set of numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from broker.models import Counts, QueueStatus, Summary, Totals


def sum_up(queues: Sequence[QueueStatus]) -> Summary:
    """Add up the numbers of queues."""
    return Summary(
        queues=len(queues),
        counts=Counts(**_sum(status.counts for status in queues)),
        totals=Totals(**_sum(status.totals for status in queues)),
    )


def _sum(structs: Iterable[Counts | Totals]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for struct in structs:
        sums.update(msgspec.structs.asdict(struct))
    return dict(sums)
