"""Looking for what no example thought of: Hypothesis in an async test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

_budget = settings(
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=False,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


async def for_all(
    drawn: SearchStrategy[T], check: Callable[[T], Coroutine[Any, Any, None]]
) -> None:
    """Await the check for two hundred examples of what is drawn, always the same; raise what it
    raises for the smallest that it fails for."""
    loop = asyncio.get_running_loop()

    @_budget
    @given(drawn)
    def examine(example: T) -> None:
        asyncio.run_coroutine_threadsafe(check(example), loop).result()

    # Hypothesis calls what it examines and awaits nothing: in a thread, so that the loop is free.
    await asyncio.to_thread(examine)
