"""The arithmetic of the sliding-window counter, in whole numbers, so that it is exact."""

from __future__ import annotations

from broker_ratelimit.counters import Count, Window


def spent(window: Window, count: Count) -> int:
    """Return how much of a window's amount is spent."""
    length_ms = window.milliseconds
    return count.previous * (length_ms - count.elapsed_ms) // length_ms + count.current


def wait_ms(window: Window, count: Count, cost: int) -> int | None:
    """Return the milliseconds until the cost is there, if nobody spends meanwhile: 0 if it is;
    None if it is more than all."""
    free = window.amount - cost
    if free < 0:
        return None
    if spent(window, count) <= free:
        return 0
    left_ms = window.milliseconds - count.elapsed_ms
    if count.current <= free:
        return left_ms - _when_left(window, count.previous, free - count.current)
    # Not before this window is over, and then fades away itself.
    return left_ms + window.milliseconds - _when_left(window, count.current, free)


def reset_ms(window: Window, count: Count) -> int:
    """Return the milliseconds until all of it is there again, if nothing is spent meanwhile."""
    # As wait_ms says of all, but asked for with every answer.
    length_ms = window.milliseconds
    left_ms = length_ms - count.elapsed_ms
    if count.current:
        return left_ms + length_ms - (length_ms - 1) // count.current
    return max(0, left_ms - (length_ms - 1) // count.previous) if count.previous else 0


def _when_left(window: Window, fading: int, rest: int) -> int:
    """Return how many milliseconds of a window are left when no more than the rest remains of
    what was spent in the one before: the most `ms` with `fading * ms // window_ms <= rest`."""
    return ((rest + 1) * window.milliseconds - 1) // fading
