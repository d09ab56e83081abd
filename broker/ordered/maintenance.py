"""What time brings, in those queues where something may be due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from broker.models import Ended, Maintenance, Queue
from broker.ordered import keys, moves
from broker.ordered.publishing import forget_keys
from broker.ordered.records import Row, decode_queue
from broker.ordered.transaction import CHUNK, Transaction

SWEPT = 10
"""How many keys of dropped queues are removed, for each message that may be looked after."""


def maintain(tx: Transaction, limit: int) -> Maintenance:
    """Lapse, expire and retire at most `limit` messages."""
    round_ = _Round(tx, limit)
    for _, queue in list(_agenda(tx, tx.now)):
        if round_.left > 0:
            round_.look_after(queue)
    is_swept = _sweep(tx, limit * SWEPT)
    return Maintenance(
        lapsed=dict(round_.lapsed),
        ended=tuple(round_.ended),
        retired=round_.retired,
        next_due=_next_due(tx) if is_swept else tx.now,
    )


def retime_leases(tx: Transaction) -> None:
    """Let leases that were taken later than now begin now.

    The system clock was put back while the broker was down. Without this a message whose consumer
    is gone would be held for as long as that step, which may be a day.
    """
    for _, value in tx.data.scan(keys.QUEUES, keys.after_all(keys.QUEUES)):
        queue = decode_queue(value)
        for row in tx.rows(tx.in_order(queue.id, keys.LEASED)):
            if row.leased_at > tx.now:
                end = row.visible_at - row.leased_at + tx.now
                tx.change(row, visible_at=end, leased_at=tx.now)


class _Round:
    def __init__(self, tx: Transaction, limit: int) -> None:
        self._tx = tx
        self.left = limit
        self.lapsed: Counter[str] = Counter()
        self.ended: list[Ended] = []
        self.retired = 0

    def look_after(self, queue: Queue) -> None:
        """Do what is due in a queue, as far as the limit allows."""
        tx = self._tx
        for row in self._count(tx.lapse_due(queue.id, self.left)):
            self.lapsed[queue.name] += 1
            if row.is_exhausted(queue.policy):
                self.ended.append(moves.fail_exhausted(tx, row))
        for row in self._take(_exhausted(tx, queue)):
            self.ended.append(moves.fail_exhausted(tx, row))
        for row in self._take(tx.due(queue.id, keys.EXPIRING, tx.now)):
            self.ended.append(moves.expire(tx, row))
        for kind, seconds in _retentions(queue):
            for row in self._take(tx.due(queue.id, kind, tx.now - seconds * 1000)):
                moves.remove(tx, row, "retired")
                self.retired += 1
        tx.show_due(queue.id, CHUNK)
        forget_keys(tx, queue, CHUNK)
        tx.regroup()
        tx.set_due(queue.id, queue.name, _due(tx, queue))

    def _take(self, found: Iterator[int]) -> list[Row]:
        return self._count(self._tx.rows(islice(found, self.left)))

    def _count(self, rows: list[Row]) -> list[Row]:
        self.left -= len(rows)
        return rows


def _exhausted(tx: Transaction, queue: Queue) -> Iterator[int]:
    """Yield those that a lease or a look has lapsed, and that were delivered often enough."""
    most = queue.policy.max_deliveries
    return iter(()) if most is None else tx.due(queue.id, keys.LAPSED, keys.MAX - most)


def _retentions(queue: Queue) -> list[tuple[bytes, int]]:
    policy = queue.policy
    ends = {"processed": policy.retain_processed, "failed": policy.retain_failed}
    return [
        (kind, seconds)
        for state, kind in keys.BY_END.items()
        if (seconds := ends[state]) is not None
    ]


def _due(tx: Transaction, queue: Queue) -> int | None:
    """Return when a queue has to be looked at next, exactly."""
    times = [tx.first_time(queue.id, keys.LEASED), tx.first_time(queue.id, keys.EXPIRING)]
    for kind, seconds in _retentions(queue):
        finished_at = tx.first_time(queue.id, kind)
        times.append(None if finished_at is None else finished_at + seconds * 1000)
    if next(_exhausted(tx, queue), None) is not None:
        times.append(tx.now)
    return min((time for time in times if time is not None), default=None)


def _agenda(tx: Transaction, until: int) -> Iterator[tuple[int, Queue]]:
    """Yield the queues that have to be looked at until then, and by when."""
    for key, name in tx.data.scan(keys.AGENDA, keys.agenda(until + 1, 0)):
        yield keys.due_of_agenda(key), tx.queue(name.decode())


def _next_due(tx: Transaction) -> int | None:
    """Return when the next queue is due, putting right what the agenda has too early."""
    first: int | None = None
    for noted, queue in _agenda(tx, keys.MAX - 1):
        if first is not None and noted >= first:
            break
        due = _due(tx, queue)
        tx.set_due(queue.id, queue.name, due)
        if due is not None and (first is None or due < first):
            first = due
    return first


def _sweep(tx: Transaction, limit: int) -> bool:
    """Remove what is left of dropped queues; False if that would be more than the limit."""
    for place, _ in list(tx.data.scan(keys.DROPPED, keys.after_all(keys.DROPPED))):
        start = keys.of_queue(keys.last_number(place))
        found = islice(tx.data.scan(start, keys.after_all(start)), limit)
        for key in [key for key, _ in found]:
            limit -= 1
            tx.data.delete(key)
            if key[len(start) :][:1] in keys.BY_STATE.values():
                tx.data.delete(keys.message(keys.last_number(key)))
                tx.data.delete(keys.body(keys.last_number(key)))
        if limit <= 0:
            return False
        tx.data.delete(place)
    return True
