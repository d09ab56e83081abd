"""The arithmetic of the sliding-window counter."""

from __future__ import annotations

import math

from broker_ratelimit.counters import Count, Window


def spent(count: Count) -> int:
    """Return how much of a window's amount is spent."""
    return math.floor(count.previous * (1 - count.elapsed)) + count.current


def reset_seconds(window: Window, count: Count) -> float:
    """Return the seconds until all of it is there again, if nothing is spent meanwhile."""
    left = (1 - count.elapsed) * window.seconds
    if count.current:
        return left + window.seconds
    return left if count.previous else 0.0


def wait_seconds(window: Window, count: Count, cost: int) -> float | None:
    """Return the seconds until the cost is there, 0 if it is; None if it is more than all."""
    free = window.amount - cost
    if free < 0:
        return None
    if spent(count) <= free:
        return 0.0
    if count.current <= free:
        # What is left of the window before fades away, to less than the next whole number.
        fading = 1 - (free - count.current + 1) / count.previous
        return (fading - count.elapsed) * window.seconds
    fading = 1 - (free + 1) / count.current
    return (1 - count.elapsed + max(0.0, fading)) * window.seconds
