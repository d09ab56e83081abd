"""How keys, values, names and causes are written in the one-line messages of a start."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable

MASK = "********"
"""What stands in the place of a secret."""

KeyPath = tuple[str | int, ...]
"""Where a value stands in the config: the keys of tables, the indexes of arrays."""

LONGEST_VALUE = 120

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def dotted(path: KeyPath) -> str:
    """Write a path as `plugins.auth_jwt.algorithms[0]`, quoting a key that TOML would quote."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else shown(part)
            text += f".{key}" if text else key
    return text


def shown(value: object) -> str:
    """Write a value as JSON on one line, cut when it is long; nothing in it reaches a terminal."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > LONGEST_VALUE:
        text = text[:LONGEST_VALUE] + "…"
    return printable(text)


def quoted(names: Iterable[str]) -> str:
    """Write names as `"a", "b"`."""
    return ", ".join(shown(name) for name in names)


def did_you_mean(name: str, known: Iterable[str], *, after: str = "") -> str:
    """Return `; did you mean "x"?` for the known name that is nearest, or nothing.

    Names that all begin alike are compared by what comes `after` that.
    """
    ends = {one.removeprefix(after): one for one in known}
    near = difflib.get_close_matches(name.lower().removeprefix(after), ends, n=1)
    return f"; did you mean {shown(ends[near[0]])}?" if near else ""


def described(error: BaseException) -> str:
    """Write an exception as its type and its text, on one line."""
    try:
        text = printable(" ".join(str(error).split()))
    except Exception:  # noqa: BLE001  # it may be of a class that cannot even say what it is
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def printable(text: str) -> str:
    """Write in another way what a terminal might obey, such as an escape."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
