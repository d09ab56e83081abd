"""The log as people read it, a line each, but for tracebacks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from broker.logs.lines import Line
from broker.timestamps import timestamp

_MARGIN = "  | "
"""Stands before each line of a traceback, so that none can be taken for a line of its own."""

_PLAIN = re.compile(r"""[^\s="'\[\]]+""")
"""What needs no quotes to be told from what stands beside it."""

_RESET, _BRIGHT, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_CYAN, _MAGENTA, _BLUE = "\x1b[36m", "\x1b[35m", "\x1b[34m"
_LEVELS = {
    "debug": "\x1b[32m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}


def console(*, colors: bool) -> Callable[[Line], bytes]:
    """Return what writes a line for a terminal, in colours or without."""

    def paint(color: str, text: str) -> str:
        return f"{color}{text}{_RESET}" if colors else text

    def render(line: Line) -> bytes:
        told = line.brief()
        level, exception = told.pop("level"), told.pop("exception", None)
        parts = [
            paint(_DIM, timestamp(line.at)[:19].replace("T", " ")),
            f"[{paint(_LEVELS[level], f'{level:<9}')}]",
            paint(_BRIGHT, told.pop("message")),
        ]
        if (logger := told.pop("logger", None)) is not None:
            parts.append(f"[{paint(_BLUE, logger)}]")
        parts += (
            f"{paint(_CYAN, _shown(name))}={paint(_MAGENTA, _shown(value))}"
            for name, value in told.items()
        )
        text = " ".join(parts)
        if exception is not None:
            text += "".join(f"\n{_MARGIN}{part}" for part in exception.split("\n"))
        return text.encode(errors="backslashreplace") + b"\n"

    return render


def _shown(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
