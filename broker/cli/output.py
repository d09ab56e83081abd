"""What commands print: data on stdout, remarks and progress on stderr.

A table is drawn on a terminal only. In a pipe it is one line a row, tabs between the columns and
no heading, for `cut` and `awk`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
import msgspec


def print_json(value: object) -> None:
    """Print one JSON document on one line."""
    click.echo(msgspec.json.encode(value))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headings; None shows as nothing."""
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


def counted(messages: int) -> str:
    """Write a number of messages, as in "1 message"."""
    return f"{messages} message{'' if messages == 1 else 's'}"


@contextmanager
def progress(title: str, total_bytes: int | None) -> Iterator[Callable[[int, int], None]]:
    """Show how far a long job is while the block runs, if stderr is a terminal.

    Yields what is to be called with the messages done and their bytes, each time some are done.
    """
    if not sys.stderr.isatty():
        yield _say_nothing
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description} {task.fields[messages]} messages")
    columns = (text, BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total_bytes, messages=0)
        done = 0

        def advance(messages: int, size: int) -> None:
            nonlocal done
            done += messages
            bar.update(task, advance=size, messages=done)

        yield advance


def _shown(cell: object) -> str:
    if cell is None:
        return ""
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def _say_nothing(_messages: int, _size: int) -> None:
    return
