"""The dedup keys of one queue, each remembered for its time."""

from __future__ import annotations

from broker.builtin.memory.ranking import Ranking


class DedupKeys:
    """Which message was published first under a key; it outlives the message."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._ends: Ranking[str] = Ranking()

    def remember(self, key: str, message_id: int, *, until: int) -> None:
        """Remember a key until that time."""
        self._ids[key] = message_id
        self._ends.put(key, until)

    def find(self, key: str, now: int) -> int | None:
        """Return the id of the first message with this key, None if it is not remembered."""
        self.forget(now)
        return self._ids.get(key)

    def next_end(self) -> int | None:
        """Return when the next is to be forgotten."""
        return self._ends.first_rank()

    def forget(self, now: int) -> None:
        """Forget the keys whose time is over."""
        while (key := self._ends.first_due(now)) is not None:
            self._ends.discard(key)
            del self._ids[key]
