"""The pieces of a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by `make docs` from the sources: change those. -->"


def page(pieces: Iterable[str]) -> str:
    """Return a page of pieces, an empty line between two of them."""
    return "\n\n".join(piece.strip("\n") for piece in pieces if piece) + "\n"


def code(text: str) -> str:
    """Return a block of Python."""
    return f"```python\n{text.rstrip()}\n```"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (columns, *rows)]
    return "\n".join([lines[0], "|---" * len(columns) + "|", *lines[1:]])


def prose(doc: str) -> str:
    """Return a docstring as Markdown: what is indented in it is code."""
    return re.sub(r"(?:(?<=\n\n)|\A)(?: {4}.*\n?|\n(?= {4}))+", _as_code, doc)


def items(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a list of code, each with what is said of it."""
    return "\n".join(f"- `{shown}`: {_indented(prose(said))}" for shown, said in pairs)


def anchor(heading: str) -> str:
    """Return what a link calls a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _as_code(found: re.Match[str]) -> str:
    lines = found.group().rstrip("\n").split("\n")
    return code("\n".join(line.removeprefix("    ") for line in lines)) + "\n"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ").replace("\n  \n", "\n\n")
