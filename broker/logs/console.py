"""The log as people read it, a line each, but for tracebacks."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from broker.logs.lines import Line
from broker.timestamps import timestamp

_MARGIN = "  | "
"""Stands before each line of a traceback, so that none can be taken for a line of its own."""


def console(*, colors: bool) -> Callable[[Line], bytes]:
    """Return what writes a line for a terminal, in colours or without."""
    renderer = structlog.dev.ConsoleRenderer(
        colors=colors, pad_event_to=0, pad_level=True, sort_keys=False, timestamp_key="time"
    )

    def render(line: Line) -> bytes:
        told = line.brief()
        exception = told.pop("exception", None)
        message = told.pop("message")
        at = timestamp(line.at)[:19].replace("T", " ")
        text = str(renderer(None, "", {"time": at, "event": message, **told}))
        if exception is not None:
            text += "".join(f"\n{_MARGIN}{part}" for part in str(exception).split("\n"))
        return text.encode(errors="backslashreplace") + b"\n"

    return render
