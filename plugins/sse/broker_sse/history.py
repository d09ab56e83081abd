"""What was told last, for those who come back."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator

import msgspec

from broker_sse.entry import Entry, EventId

NOTHING = EventId("0", 0)
"""What stands before everything, as long as no order has begun."""


class Start(msgspec.Struct, frozen=True):
    """Where somebody who comes begins."""

    position: int
    resumed_from: EventId | None = None
    """What stands before it; None for who gets nothing of the history."""
    gap: bool = False
    """Whether something may be missing after what was asked for."""


class History:
    """The newest entries, in the order in which they were told here.

    That order may go on in another epoch, and come back to one that it left; within an epoch,
    sequences grow. Positions count what was ever told, so that they stay what they are while the
    oldest entries go.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._ring: list[Entry] = []
        self._base = 0
        self._before = NOTHING
        self._runs: deque[tuple[str, int]] = deque()
        self._gap_at = -1
        self.end = 0
        """The position that the next entry gets."""

    @property
    def start(self) -> int:
        """The position of the oldest entry."""
        return self.end - len(self._ring)

    @property
    def newest(self) -> EventId:
        """The id of what was told last, here or before the order came here."""
        return self.before(self.end)

    def begin(self, before: EventId) -> None:
        """Forget everything; what is added next comes after this."""
        self._ring.clear()
        self._runs.clear()
        self._base = self.end
        self._before = before

    def add(self, entry: Entry) -> None:
        """Keep an entry, instead of the oldest if there are as many as are kept."""
        if not self._runs or self._runs[-1][0] != entry.id.epoch:
            self._runs.append((entry.id.epoch, self.end))
        if len(self._ring) < self._size:
            self._ring.append(entry)
        elif self._size:
            slot = (self.end - self._base) % self._size
            self._before = self._ring[slot].id
            self._ring[slot] = entry
        else:
            self._before = entry.id
        self.end += 1
        while len(self._runs) > 1 and self._runs[1][1] <= self.start:
            self._runs.popleft()

    def mark_gap(self) -> None:
        """Remember that something may be missing between the newest entry and the next."""
        self._gap_at = self.end

    def read(self, position: int, limit: int) -> list[Entry] | None:
        """Return up to `limit` entries from a position on; None if some of them are gone."""
        if position < self.start:
            return None
        return [self._at(index) for index in range(position, min(position + limit, self.end))]

    def before(self, position: int) -> EventId:
        """Return the id of what was told before a position."""
        return self._at(position - 1).id if position > self.start else self._before

    def whole(self) -> Start:
        """Return where to begin for somebody who wants all that is there."""
        return Start(self.start, self._before)

    def new(self, *, gap: bool = False) -> Start:
        """Return where to begin for somebody who wants nothing of this."""
        return Start(self.end, gap=gap)

    def after(self, asked: EventId) -> Start:
        """Return where to begin for somebody who got everything up to an id."""
        if asked == self._before:
            return self._resume(self.start)
        floor = self.start
        for start, end in self._runs_of(asked.epoch):
            if asked.sequence < self._at(start).id.sequence:
                return self._resume(floor, gap=True)
            if asked.sequence <= self._at(end - 1).id.sequence:
                return self._resume_between(asked, start, end)
            floor = end
        if floor == self.start and self._is_before(asked):
            return self._resume(floor, gap=True)
        return self.new(gap=True)

    def _runs_of(self, epoch: str) -> Iterator[tuple[int, int]]:
        """Yield where entries of an epoch begin and end that stand here one after the other."""
        ends = [*(start for _, start in self._runs), self.end][1:]
        for (name, start), end in zip(self._runs, ends, strict=True):
            if name == epoch and end > self.start:
                yield max(start, self.start), end

    def _resume_between(self, asked: EventId, start: int, end: int) -> Start:
        sequence = asked.sequence
        positions = range(start, end)
        found = start + bisect_left(positions, sequence, key=lambda at: self._at(at).id.sequence)
        if self._at(found).id.sequence == sequence:
            return self._resume(found + 1)
        return self._resume(found, gap=True)

    def _is_before(self, asked: EventId) -> bool:
        return asked.epoch == self._before.epoch and asked.sequence < self._before.sequence

    def _resume(self, position: int, *, gap: bool = False) -> Start:
        return Start(position, self.before(position), gap or position <= self._gap_at)

    def _at(self, position: int) -> Entry:
        return self._ring[(position - self._base) % self._size]
