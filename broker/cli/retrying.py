"""Trying again while the broker is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from broker.cli.client import Away

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


def keep_trying(
    attempt: Callable[[], T],
    *,
    seconds: float,
    tell: Callable[[Away], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return what `attempt` returns, repeating it for so many seconds after it first raised Away.

    `tell` hears of the first failure that is not final. Raises the last Away when time is up.
    """
    pause = FIRST_PAUSE_SECONDS
    deadline: float | None = None
    while True:
        try:
            return attempt()
        except Away as error:
            now = clock()
            left = seconds if deadline is None else deadline - now
            if left <= 0 or (error.retry_after or 0) > left:
                raise
            if deadline is None:
                deadline = now + seconds
                tell(error)
            wait = pause if error.retry_after is None else error.retry_after
        sleep(min(wait, left))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
