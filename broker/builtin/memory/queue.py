"""One queue in memory: its rows, and every order in which they are asked for."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator

import msgspec

from broker import Counts, Queue, QueuePolicy, QueueStatus, Totals
from broker.builtin.memory.keys import DedupKeys
from broker.builtin.memory.ranking import Ranking
from broker.builtin.memory.ready import Ready
from broker.builtin.memory.row import Row

NEVER = 1 << 63


class MemoryQueue:
    """Rows by id, by time and in lease order.

    A row is changed between `lift` and `place` only, so that every order and count fits it.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.totals: Counter[str] = Counter()
        self.pending_bytes = 0
        self.pending: Ranking[int] = Ranking()  # by id
        self.expiring: Ranking[int] = Ranking()  # of the pending, by the end of their ttl
        self.leased: Ranking[int] = Ranking()  # by the end of their lease
        self.processed: Ranking[int] = Ranking()  # by the time when they were finished
        self.failed: Ranking[int] = Ranking()
        self.suspects: dict[int, None] = {}  # lapsed, and maintain has to look at it
        self.keys = DedupKeys()
        self.quiet_until = 0  # maintain has nothing to do here before; 0 after each change
        self.next_due = NEVER  # as it was when maintain was here last
        self.ready = Ready(by_priority=queue.policy.ordering == "priority")
        self._rows: dict[int, Row] = {}
        self._ids: list[int] = []  # sorted; those of removed rows stay until they are many
        self._bytes = 0
        self._scheduled: Ranking[int] = Ranking()  # of the pending, by when they become visible
        self._now = 0

    @property
    def policy(self) -> QueuePolicy:
        """The policy as it is now."""
        return self.queue.policy

    def put_policy(self, policy: QueuePolicy, now: int) -> None:
        """Replace the policy; it holds for what is there already, too."""
        self.queue = msgspec.structs.replace(
            self.queue, policy=policy, version=self.queue.version + 1, updated_at=now
        )
        self.quiet_until = 0
        self.ready.reorder(by_priority=policy.ordering == "priority")
        for row_id in self.pending:
            self._suspect(self._rows[row_id])

    def look_at_time(self, now: int) -> None:
        """Make visible what is due, and lapse the leases that are over."""
        self._now = max(now, self._now)
        while (due := self._scheduled.first_due(now)) is not None:
            self._scheduled.discard(due)
            self.ready.put(self._rows[due], visible=True)
        while (due := self.leased.first_due(now)) is not None:
            self._lapse(self._rows[due])

    def _lapse(self, row: Row) -> None:
        self.lift(row)
        row.state = "pending"  # the token is kept for a late ack
        row.lapse_is_new = True
        self.place(row)
        self.totals["lapsed"] += 1

    def insert(self, row: Row) -> None:
        """Take in a row that is in no queue."""
        position = bisect_left(self._ids, row.id)
        if self._ids[position : position + 1] != [row.id]:
            self._ids.insert(position, row.id)
        self._rows[row.id] = row
        self._bytes += len(row.body)
        self.place(row)

    def remove(self, row: Row) -> None:
        """Let go of a row."""
        self.lift(row)
        del self._rows[row.id]
        self._bytes -= len(row.body)
        if len(self._ids) > 2 * len(self._rows) + 64:
            self._ids = sorted(self._rows)

    def place(self, row: Row) -> None:
        """Enter a row where its state belongs."""
        self.quiet_until = 0
        if row.state == "pending":
            self._place_pending(row)
        elif row.state == "processing":
            self.leased.put(row.id, row.visible_at)
            self.ready.put(row, visible=False)
        else:
            assert row.finished_at is not None
            finished = self.processed if row.state == "processed" else self.failed
            finished.put(row.id, row.finished_at)

    def _place_pending(self, row: Row) -> None:
        self.pending.put(row.id, row.id)
        self.pending_bytes += len(row.body)
        if row.expires_at is not None:
            self.expiring.put(row.id, row.expires_at)
        self._suspect(row)
        is_visible = row.visible_at <= self._now
        if not is_visible:
            self._scheduled.put(row.id, row.visible_at)
        self.ready.put(row, visible=is_visible)

    def _suspect(self, row: Row) -> None:
        if row.lapse_is_new or (row.is_lapsed and row.is_exhausted(self.policy)):
            self.suspects[row.id] = None

    def lift(self, row: Row) -> None:
        """Take a row out of whatever `place` entered it in."""
        self.quiet_until = 0
        if row.state == "pending":
            self.pending.discard(row.id)
            self.pending_bytes -= len(row.body)
            self.expiring.discard(row.id)
            self._scheduled.discard(row.id)
            self.suspects.pop(row.id, None)
        elif row.state == "processing":
            self.leased.discard(row.id)
        else:
            self.processed.discard(row.id)
            self.failed.discard(row.id)
        self.ready.drop(row)

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Yield rows in order of id; stop before the queue changes."""
        for position in range(bisect_right(self._ids, after), len(self._ids)):
            row = self._rows.get(self._ids[position])
            if row is not None:
                yield row

    def is_scheduled(self, row: Row) -> bool:
        """Tell whether a row is pending and not visible yet."""
        return row.id in self._scheduled

    def next_scheduled_at(self) -> int | None:
        """Return when the next scheduled row becomes visible."""
        return self._scheduled.first_rank()

    def next_visible_at(self) -> int | None:
        """Return when the next scheduled or leased row becomes visible by itself."""
        times = (self._scheduled.first_rank(), self.leased.first_rank())
        return min((time for time in times if time is not None), default=None)

    def status(self) -> QueueStatus:
        """Return what `get_queues` answers, at the time that was looked at last."""
        oldest = self.ready.oldest()
        return QueueStatus(
            queue=self.queue,
            counts=Counts(
                pending=len(self.pending),
                processing=len(self.leased),
                processed=len(self.processed),
                failed=len(self.failed),
                scheduled=len(self._scheduled),
            ),
            totals=Totals(**self.totals),
            bytes=self._bytes,
            oldest_at=None if oldest is None else max(oldest.enqueued_at, oldest.visible_at),
        )
