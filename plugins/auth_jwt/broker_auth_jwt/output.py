"""What the commands of users and tokens print: data on stdout, remarks on stderr."""

from __future__ import annotations

from collections.abc import Iterable

import click
import msgspec


def print_json(value: object) -> None:
    """Print one JSON document on one line."""
    click.echo(msgspec.json.encode(value))


def print_row(cells: Iterable[object]) -> None:
    """Print a line of columns, tabs between them; None shows as nothing."""
    click.echo("\t".join(_shown(cell) for cell in cells))


def remark(text: str) -> None:
    """Tell the person at the keyboard something that is no data."""
    click.echo(text, err=True)


def _shown(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, list | tuple | frozenset):
        return " ".join(sorted(cell))
    return str(cell)
