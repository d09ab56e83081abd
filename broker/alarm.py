"""Ending foreign code that does not end by itself, and does not even await anything."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN_SECONDS = 1.0
"""How long after the first time it is raised anew, for code that catches everything."""


class TooSlow(BaseException):
    """Code took longer than it may. No Exception, because retrying is what such code is for."""


@contextmanager
def alarm(seconds: float, *, unless: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Raise TooSlow inside the block, wherever that is, when it takes so many seconds; not while
    `unless` says so.

    It works by a signal, so it does nothing outside the main thread, and waits for calls into C
    that no signal interrupts. An alarm that was set before goes on when the block has ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        if not unless():
            raise TooSlow(f"it did not end within {seconds:g} s")

    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            left = max(left - (time.monotonic() - began), 0.001)
            signal.setitimer(signal.ITIMER_REAL, left, interval)
