"""How commands tell of messages that are many: in words, and while they pass."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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


def _say_nothing(_messages: int, _size: int) -> None:
    return
