"""`broker consume`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from broker.cli.options import queue_argument, remote
from broker.cli.output import counted
from broker.cli.values import FieldValue
from broker.commands import remark
from broker.limits import MAX_LEASE_SECONDS
from broker.models import Seconds

if TYPE_CHECKING:
    from broker.cli.client import Client
    from broker.cli.consumer import Taken

LEASE_LOST = 1
EMPTY = 3


@click.command()
@queue_argument
@click.option("--follow", is_flag=True, help="Wait for more, for ever.")
@click.option("--limit", type=click.IntRange(min=1), help="Take at most so many messages.")
@click.option(
    "--wait",
    "wait_seconds",
    type=FieldValue(Seconds),
    default=0,
    metavar="SECONDS",
    help="End only when nothing came for so long.",
)
@click.option("--no-ack", is_flag=True, help="Do not ack: the messages come back later.")
@click.option(
    "--lease-seconds",
    type=click.IntRange(1, MAX_LEASE_SECONDS),
    help="How long each batch may take to print; the queue's lease_seconds by default.",
)
@remote
def consume(
    *,
    client: Client,
    queue: str,
    follow: bool,
    limit: int | None,
    wait_seconds: float,
    no_ack: bool,
    lease_seconds: int | None,
    as_json: bool,
) -> None:
    """Take messages until the queue is empty, and print each body with a newline behind it.

    A message is acked after it was written. What was not written when this ends, by Ctrl-C or
    because nobody reads any more, is released and delivered again. With --json, each message is
    one JSON line with its receipt. Ends with 3 if nothing came, with 1 if a lease was lost.

    Example: broker consume mail --limit 10

    Example: broker consume logs --follow >> logs.txt
    """
    from broker.cli.consumer import Consumer  # imports httpx

    out = sys.stdout.buffer

    def write(message: Taken, raw: bytes) -> None:
        out.write((raw if as_json else message.body) + b"\n")
        out.flush()

    consumer = Consumer(client, queue, write=write, ack=not no_ack, lease_seconds=lease_seconds)
    try:
        consumer.run(limit=limit, idle_seconds=None if follow else wait_seconds)
    except KeyboardInterrupt:
        if not follow:
            raise
    finally:
        if no_ack and consumer.written:
            remark(f"{counted(consumer.written)} not acked: they come back when their leases end")
    if consumer.lost:
        click.get_current_context().exit(LEASE_LOST)
    if not consumer.written and not follow:
        click.get_current_context().exit(EMPTY)
