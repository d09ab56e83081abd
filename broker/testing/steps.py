"""Counting what is done, where time would depend on more."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any


class Steps:
    """How much was done: a number that is the same whenever the same is done."""

    taken = 0
    """How many were counted."""


@asynccontextmanager
async def python_steps() -> AsyncIterator[Steps]:
    """Count the instructions that Python carries out in this thread."""
    steps = Steps()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes = True
        steps.taken += event == "opcode"
        return trace

    tracer_before = sys.gettrace()
    # Python 3.12 tells of instructions only if some frame asked for them before `settrace`.
    sys._getframe().f_trace_opcodes = True  # noqa: SLF001  # that of inspect may be None
    sys.settrace(trace)
    try:
        yield steps
    finally:
        sys.settrace(tracer_before)
