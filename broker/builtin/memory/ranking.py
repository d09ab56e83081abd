"""A set that knows its least member."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", int, str)


class Ranking(Generic[Key]):
    """Keys by rank, least first; equal ranks by key. Every method takes logarithmic time or less.

    A heap whose dead entries stay until they come up, or until they outnumber the living.
    """

    def __init__(self) -> None:
        self._ranks: dict[Key, int] = {}
        self._heap: list[tuple[int, Key]] = []

    def __len__(self) -> int:
        return len(self._ranks)

    def __contains__(self, key: Key) -> bool:
        return key in self._ranks

    def __iter__(self) -> Iterator[Key]:
        return iter(self._ranks)

    def put(self, key: Key, rank: int) -> None:
        """Add a key, or change its rank."""
        if self._ranks.get(key) == rank:
            return
        self._ranks[key] = rank
        heapq.heappush(self._heap, (rank, key))
        if len(self._heap) > 2 * len(self._ranks) + 64:
            self._heap = [(rank, key) for key, rank in self._ranks.items()]
            heapq.heapify(self._heap)

    def discard(self, key: Key) -> None:
        """Remove a key, if it is there."""
        self._ranks.pop(key, None)

    def first(self) -> Key | None:
        """Return the key of the least rank, None if there is none."""
        while self._heap:
            rank, key = self._heap[0]
            if self._ranks.get(key) == rank:
                return key
            heapq.heappop(self._heap)
        return None

    def first_rank(self) -> int | None:
        """Return the least rank, None if there is none."""
        key = self.first()
        return None if key is None else self._ranks[key]

    def first_due(self, now: int) -> Key | None:
        """Return the first key if its rank, a time, has come; else None."""
        key = self.first()
        return key if key is not None and self._ranks[key] <= now else None
