"""What the commands of `broker` read and print alike, those of plugins too.

Data goes to stdout, remarks to stderr. A table is drawn on a terminal only: in a pipe it is one
line a row, tabs between the columns and no heading, for `cut` and `awk`. Importing this is light.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec

from broker.durations import read_duration

LONGEST_LINE = 65_536
"""How many bytes of a line of stdin are read for a password."""

__all__ = [
    "Duration",
    "json_option",
    "print_json",
    "print_table",
    "read_password",
    "remark",
]


class Duration(click.ParamType):  # type: ignore[type-arg]  # a generic in newer versions only
    """The type of an option that takes a duration like `7d`; it becomes seconds."""

    name = "duration"
    """What an error calls the type."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds; fails for what `read_duration` does not read."""
        try:
            return read_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--json`, which it takes as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def read_password(*, is_new: bool = False) -> str:
    """Return a password: typed unseen on a terminal, a new one twice, else stdin's first line.

    Raises click.UsageError if that line is empty or not UTF-8.
    """
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=is_new, err=True)
        return typed
    line = sys.stdin.buffer.readline(LONGEST_LINE).removesuffix(b"\n").removesuffix(b"\r")
    if not line:
        raise click.UsageError("there is no password: the first line of stdin is empty")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise click.UsageError("the password is not UTF-8") from None  # the cause tells of it


def print_json(value: object) -> None:
    """Print one JSON document on one line; `value` is whatever msgspec encodes."""
    click.echo(msgspec.json.encode(value))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headings; None shows as nothing, a list as its items."""
    cells = [[_shown(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            click.echo("\t".join(row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def remark(text: str) -> None:
    """Tell the person at the keyboard something that is no data."""
    click.echo(text, err=True)


def _shown(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, list):
        return " ".join(map(str, cell))
    return str(cell).lower() if isinstance(cell, bool) else str(cell)
