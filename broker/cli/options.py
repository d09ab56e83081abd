"""Options and arguments that several commands share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any
from urllib.parse import quote

import click

from broker.cli.values import QueueName
from broker.commands import json_option

DEFAULT_URL = "http://127.0.0.1:8777"


def url_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--url`."""
    return click.option(
        "--url",
        envvar="BROKER_URL",
        default=DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        help="Where the broker is.",
    )(command)


def remote(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--url` and `--json`; it gets a `client`, and `as_json`."""

    @url_option
    @json_option
    @wraps(command)
    def connected(*, url: str, **options: Any) -> None:
        from broker.cli.session import connect  # imports httpx

        with _interrupted_by_sigterm(), connect(url) as client:
            command(client=client, **options)

    return connected


def queue_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument QUEUE, which it takes as `queue`."""
    return click.argument("queue", type=QueueName())(command)


def yes_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that destroys something the option `--yes`."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; without one, `--yes` is demanded. Returns only if the answer is yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("this destroys messages; without a terminal to ask on, give --yes")
    click.confirm(question, abort=True, err=True)


def queue_path(queue: str, rest: str = "") -> str:
    """Return the path of a queue, or of something that belongs to it."""
    return f"/queues/{quote(queue, safe='')}{rest}"


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does: what was taken is released, what was done told."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
