"""The events of this node on their way through Redis."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import islice

from broker import Event


class Outgoing:
    """Keeps events from when they happen until they are back, each with its number, from 1."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._first = 1
        self._sent = 0
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def add(self, events: Sequence[Event]) -> None:
        """Take events that happened."""
        self._events.extend(events)
        self._news.set()

    async def unsent(self) -> None:
        """Return when there may be something to send."""
        await self._news.wait()
        self._news.clear()

    def wake(self) -> None:
        """Have `unsent` return."""
        self._news.set()

    def next(self, limit: int) -> list[tuple[int, Event]]:
        """Return the first that are not sent yet, with their numbers."""
        events = islice(self._events, self._sent, self._sent + limit)
        return list(enumerate(events, start=self._first + self._sent))

    def sent(self, count: int) -> None:
        """Take it that so many more are sent."""
        # Less than none are, for a moment, when some are back before this is known.
        self._sent += count

    def come_back(self, number: int) -> bool:
        """Take it that an event is back, and those before it; tell False if it was before, or never
        went."""
        if not self._first <= number < self._first + len(self._events):
            return False
        while self._first <= number:
            self._events.popleft()
            self._first += 1
            self._sent -= 1
        return True

    def give_up(self) -> list[Event]:
        """Return all, which will not be waited for; should they come back, they are known."""
        events = list(self._events)
        self._first += len(events)
        self._events.clear()
        self._sent = 0
        return events
