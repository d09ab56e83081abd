"""Telling observers what happened, without letting any of them hurt the broker."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from broker.extend import Event, Observer

logger = logging.getLogger("broker.observing")


class Observers:
    """All enabled observers; false when there are none, so that no event need be made."""

    def __init__(self, observers: Sequence[tuple[str, Observer]]) -> None:
        self._observers = tuple(observers)
        self.failures: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._observers)

    def notify(self, events: Sequence[Event]) -> None:
        """Hand the events of one operation to everybody."""
        for name, observer in self._observers:
            try:
                observer.notify(events)
            # An isolation point: the operation is done, and no observer may undo its answer.
            except Exception:
                self.failures[name] += 1
                logger.exception('observer of plugin "%s" failed', name)
