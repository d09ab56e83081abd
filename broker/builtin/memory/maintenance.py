"""What time brings to messages in memory."""

from __future__ import annotations

from collections import Counter

from broker import Ended, Maintenance
from broker.builtin.memory.queue import NEVER, MemoryQueue
from broker.builtin.memory.ranking import Ranking
from broker.builtin.memory.row import Row
from broker.builtin.memory.store import Store

MOST_QUEUES = 1000
"""After so many queues in which something happened, maintain gives up for once: milliseconds."""


def maintain(store: Store, now: int, limit: int) -> Maintenance:
    """Lapse, expire and retire at most `limit` messages.

    Queues in which nothing happened since they were looked at, and nothing is due, cost next to
    nothing.
    """
    round_ = _Round(store, now, limit)
    next_due, left = NEVER, MOST_QUEUES
    queues = [*store.queues.values()]
    begin = store.maintain_from % max(1, len(queues))
    for place, queue in enumerate(queues[begin:] + queues[:begin], start=begin):
        if queue.quiet_until <= now:
            if not left:
                store.maintain_from, next_due = place, now
                break
            left -= 1
            round_.look_after(queue)
        next_due = min(next_due, queue.next_due)
    return Maintenance(
        lapsed=dict(round_.lapsed),
        ended=tuple(round_.ended),
        retired=round_.retired,
        next_due=None if next_due == NEVER else next_due,
    )


class _Round:
    def __init__(self, store: Store, now: int, limit: int) -> None:
        self._store = store
        self._now = now
        self._left = limit
        self.lapsed: Counter[str] = Counter()
        self.ended: list[Ended] = []
        self.retired = 0

    def look_after(self, queue: MemoryQueue) -> None:
        queue.look_at_time(self._now)
        self._lapse(queue)
        self._expire(queue)
        self._retire(queue)
        queue.keys.forget(self._now)
        queue.next_due = min(_times(queue, self._now), default=NEVER)
        also = (queue.next_scheduled_at(), queue.keys.next_end())
        queue.quiet_until = min(queue.next_due, *(NEVER if time is None else time for time in also))

    def _lapse(self, queue: MemoryQueue) -> None:
        while self._left > 0 and queue.suspects:
            self._left -= 1
            row_id, _ = queue.suspects.popitem()
            row = self._store.rows[row_id]
            if row.lapse_is_new:
                self.lapsed[row.queue] += 1
                row.lapse_is_new = False
            if row.is_exhausted(queue.policy):
                self.ended.append(self._store.fail_exhausted(row, self._now))

    def _expire(self, queue: MemoryQueue) -> None:
        while (row := self._next(queue.expiring, self._now)) is not None:
            self.ended.append(self._store.expire(row, self._now))

    def _retire(self, queue: MemoryQueue) -> None:
        for finished, seconds in _retentions(queue):
            while (row := self._next(finished, self._now - seconds * 1000)) is not None:
                self._store.remove(row, "retired")
                self.retired += 1

    def _next(self, ranking: Ranking[int], due: int) -> Row | None:
        key = ranking.first_due(due) if self._left > 0 else None
        if key is None:
            return None
        self._left -= 1
        return self._store.rows[key]


def _retentions(queue: MemoryQueue) -> list[tuple[Ranking[int], int]]:
    policy = queue.policy
    pairs = ((queue.processed, policy.retain_processed), (queue.failed, policy.retain_failed))
    return [(finished, seconds) for finished, seconds in pairs if seconds is not None]


def _times(queue: MemoryQueue, now: int) -> list[int]:
    times = [queue.leased.first_rank(), queue.expiring.first_rank()]
    for finished, seconds in _retentions(queue):
        finished_at = finished.first_rank()
        times.append(None if finished_at is None else finished_at + seconds * 1000)
    if queue.suspects:
        times.append(now)
    return [time for time in times if time is not None]
