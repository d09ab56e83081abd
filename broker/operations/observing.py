"""Telling observers what happened, without letting any of them hurt the broker."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from broker.extend import Event, EventKind, Observer

logger = logging.getLogger("broker.observing")


class Observers:
    """All enabled observers."""

    def __init__(self, observers: Sequence[tuple[str, Observer]]) -> None:
        self._observers = tuple(observers)
        self._want_all = any(observer.kinds is None for _, observer in observers)
        self._wanted = frozenset[EventKind]().union(
            *(observer.kinds or () for _, observer in observers)
        )
        self.failures: Counter[str] = Counter()

    def want(self, kind: EventKind) -> bool:
        """Tell whether anybody wants such events; if not, none need be made."""
        return self._want_all or kind in self._wanted

    def notify(self, events: Sequence[Event]) -> None:
        """Hand the events of one operation to everybody who wants them."""
        for name, observer in self._observers:
            kinds = observer.kinds
            told = events if kinds is None else [e for e in events if e.kind in kinds]
            if not told:
                continue
            try:
                observer.notify(told)
            # An isolation point: the operation is done, and no observer may undo its answer.
            except Exception:
                self.failures[name] += 1
                logger.exception('observer of plugin "%s" failed', name)
