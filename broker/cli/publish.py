"""`broker publish`."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from broker.cli.options import queue_argument, remote
from broker.cli.values import FieldValue, Header
from broker.errors import MessageTooLarge
from broker.limits import MAX_MESSAGE_BYTES
from broker.models import Seconds

if TYPE_CHECKING:
    from broker.cli.client import Client

STDIN = "-"
SECONDS = FieldValue(Seconds)


@click.command()
@queue_argument
@click.argument("body", required=False)
@click.option("--lines", is_flag=True, help="Publish each line of the input as a message.")
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The input, instead of stdin.",
)
@click.option("--create", is_flag=True, help="Make the queue if it is missing.")
@click.option(
    "--retry",
    "retry_seconds",
    type=SECONDS,
    default=0,
    metavar="SECONDS",
    help="Try again for so long while the broker is away or busy. Nothing is published twice, "
    "if this is not longer than the queue's dedup_window.",
)
@click.option("--priority", type=click.IntRange(0, 9), help="Higher first; 4 by default.")
@click.option("--delay", type=SECONDS, metavar="SECONDS", help="Deliver it so much later.")
@click.option("--ttl", type=SECONDS, metavar="SECONDS", help="Deliver it within that, or never.")
@click.option("--group", help="Messages of a group are delivered one after another.")
@click.option("--dedup-key", help="Publish only if this key was not published lately.")
@click.option("--content-type", help="What the body is.")
@click.option("--header", "headers", type=Header(), multiple=True, help="Repeatable.")
@remote
def publish(
    *,
    client: Client,
    queue: str,
    body: str | None,
    lines: bool,
    path: Path | None,
    create: bool,
    retry_seconds: float,
    as_json: bool,
    headers: tuple[tuple[str, str], ...],
    **fields: object,
) -> None:
    """Publish BODY, or all of stdin if BODY is -, or with --lines each line of stdin.

    Bytes are published as they are; of a line, only the newline at its end is taken off. With
    --json, every batch that the broker acknowledged is one JSON line: the number of its first
    message and the ids of all.

    Example: broker publish mail 'hello' --priority 9

    Example: broker publish logs --lines --retry 60 < access.log
    """
    from broker.cli.publication import Publication  # imports httpx
    from broker.cli.publisher import Publisher

    _check(body, path, lines=lines, dedup_key=fields["dedup_key"])
    fields = {name: value for name, value in fields.items() if value is not None}
    if headers:
        fields["headers"] = dict(headers)
    publisher = Publisher(client, queue, fields=fields, create=create, retry_seconds=retry_seconds)
    publication = Publication(publisher, queue, as_json=as_json)
    if body is not None and body != STDIN:
        publication.publish_one(os.fsencode(body))
        return
    with _opened(path) as source:
        if lines:
            publication.publish_lines(source, name=str(path or "FILE"), size=_size(source))
        else:
            publication.publish_one(_read(source))


def _check(body: str | None, path: Path | None, *, lines: bool, dedup_key: object) -> None:
    """Refuse what cannot be meant."""
    if lines and body not in (None, STDIN):
        raise click.UsageError("with --lines, a file is named by --file; stdin is the default")
    if lines and dedup_key is not None:
        raise click.UsageError("--dedup-key is for one message; --retry gives each line its own")
    if path is not None and body is not None:
        raise click.UsageError("--file is instead of BODY and of stdin")
    if not lines and body is None and path is None:
        raise click.UsageError("nothing to publish; give BODY, - for stdin, --file or --lines")


def _read(source: BufferedReader) -> bytes:
    content = source.read(MAX_MESSAGE_BYTES + 1)
    if len(content) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(f"the input is longer than {MAX_MESSAGE_BYTES} bytes")
    return content


@contextmanager
def _opened(path: Path | None) -> Iterator[BufferedReader]:
    if path is None:
        yield cast("BufferedReader", sys.stdin.buffer)
    else:
        with path.open("rb") as file:
            yield file


def _size(source: BufferedReader) -> int | None:
    """Return how much there is to read, if that is known: of a file."""
    try:
        status = os.fstat(source.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
