"""What stands between the broker and the code of plugins: whatever that raises is counted and told
to the log, and nobody else notices.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from threading import Lock

from broker.context import Clock

TOLD_EVERY_MS = 10_000
"""How often the log is told of the same failure: one that comes with each message shall not fill a
disk."""

logger = logging.getLogger("broker.plugins")


class Failures(Counter[tuple[str, str]]):
    """How often plugins failed since the start, by (plugin, what it failed to do)."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._lock = Lock()  # observers fail in threads of their own
        self._untold: Counter[tuple[str, str]] = Counter()
        self._told_until: dict[tuple[str, str], int] = {}

    def count(self, plugin: str, step: str, times: int = 1) -> None:
        """Count what the log is told of elsewhere."""
        with self._lock:
            self[plugin, step] += times

    def note(self, plugin: str, step: str, error: BaseException) -> None:
        """Count a failure, and tell the log of it, unless it was told of the same just now."""
        key = plugin, step
        self.count(plugin, step)
        with self._lock:
            now = self._clock.now()
            if now < self._told_until.get(key, now):
                self._untold[key] += 1
                return
            self._told_until[key] = now + TOLD_EVERY_MS
            untold = self._untold.pop(key, 0)
        again = f", and {untold} times more since that was told last" if untold else ""
        logger.error('plugin "%s" failed to %s%s', plugin, step, again, exc_info=error)


def is_from_outside(error: BaseException) -> bool:
    """Tell whether what came out of a plugin's coroutine is no failure of it: whoever waits for it
    was cancelled, or thrown away. A plugin may raise the same of its own."""
    if not isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:  # the loop is gone, and its tasks with it
        return True
    if isinstance(error, GeneratorExit):
        return task is None
    return task is None or task.cancelling() > 0
