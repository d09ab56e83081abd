"""What can be leased now, in lease order; in a group that is the head alone."""

from __future__ import annotations

from broker.builtin.memory.ranking import Ranking
from broker.builtin.memory.row import Row


class Ready:
    """The unfinished rows of one queue, of which it knows those that can be leased."""

    def __init__(self, *, by_priority: bool) -> None:
        self._by_priority = by_priority
        self._rows: dict[int, Row] = {}
        self._in_order: Ranking[int] = Ranking()
        self._by_id: Ranking[int] = Ranking()
        self._groups: dict[str, _Group] = {}

    def put(self, row: Row, *, visible: bool) -> None:
        """Enter a pending or leased row; `visible` if time and state allow to lease it."""
        if row.group is None:
            if visible:
                self._offer(row)
            return
        group = self._groups.setdefault(row.group, _Group())
        group.unfinished[row.id] = row
        group.heads.put(row.id, row.id)
        if visible:
            group.visible.add(row.id)
        if row.state == "processing":
            group.leased.add(row.id)
        self._offer_head(group)

    def drop(self, row: Row) -> None:
        """Take a row out, which may let the next of its group come forward."""
        self._withdraw(row.id)
        group = self._groups.get(row.group) if row.group is not None else None
        if group is None or row.id not in group.unfinished:
            return
        del group.unfinished[row.id]
        group.heads.discard(row.id)
        group.visible.discard(row.id)
        group.leased.discard(row.id)
        self._offer_head(group)
        if row.group is not None and not group.unfinished:
            del self._groups[row.group]

    def take(self) -> Row | None:
        """Return the row to be leased next, and offer it no more until it is put again."""
        first = self._in_order.first()
        if first is None:
            return None
        row = self._rows[first]
        self._withdraw(first)
        return row

    def oldest(self) -> Row | None:
        """Return the row of the lowest id among those that can be leased."""
        oldest = self._by_id.first()
        return None if oldest is None else self._rows[oldest]

    def reorder(self, *, by_priority: bool) -> None:
        """Change the lease order, also of what is here already."""
        if by_priority != self._by_priority:
            self._by_priority = by_priority
            for row in self._rows.values():
                self._rank(row)

    def _offer_head(self, group: _Group) -> None:
        head = group.heads.first()
        offered = head if not group.leased and head in group.visible else None
        if group.offered is not None and group.offered != offered:
            self._withdraw(group.offered)
        if offered is not None and offered not in self._rows:
            self._offer(group.unfinished[offered])
        group.offered = offered

    def _offer(self, row: Row) -> None:
        self._rows[row.id] = row
        self._by_id.put(row.id, row.id)
        self._rank(row)

    def _rank(self, row: Row) -> None:
        self._in_order.put(row.id, -row.priority if self._by_priority else 0)

    def _withdraw(self, row_id: int) -> None:
        if self._rows.pop(row_id, None) is not None:
            self._in_order.discard(row_id)
            self._by_id.discard(row_id)


class _Group:
    def __init__(self) -> None:
        self.unfinished: dict[int, Row] = {}
        self.heads: Ranking[int] = Ranking()  # by id: the first is the head
        self.visible: set[int] = set()
        self.leased: set[int] = set()
        self.offered: int | None = None
