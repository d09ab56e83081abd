"""`broker queue`: make, list, change, empty and delete queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from broker.cli.options import confirm, queue_argument, queue_path, remote, yes_option
from broker.cli.output import counted
from broker.cli.policy import given_policy, policy_options
from broker.commands import Duration, print_json, print_table, remark

if TYPE_CHECKING:
    from broker.cli.client import Client

PAGE = 1000
STATES = ("pending", "scheduled", "processing", "processed", "failed")


@click.group()
def queue() -> None:
    """Make, list, change, empty and delete queues."""


@queue.command("list")
@click.option("--prefix", default="", help="Only queues whose name begins so.")
@remote
def list_queues(*, client: Client, prefix: str, as_json: bool) -> None:
    """List the queues with what they hold.

    Example: broker queue list --prefix orders.
    """
    found = _pages(client, prefix)
    if as_json:
        print_json(found)
        return
    rows = [
        [row["name"], *(row["counts"][state] for state in STATES), _remarks(row)] for row in found
    ]
    print_table(["queue", *STATES, ""], rows)


@queue.command()
@queue_argument
@click.option("--if-missing", is_flag=True, help="Leave a queue alone that is there already.")
@policy_options
@remote
def create(
    *, client: Client, queue: str, if_missing: bool, as_json: bool, **policy: object
) -> None:
    """Make a queue.

    Example: broker queue create mail --dead-letter-queue mail.dead
    """
    wanted = {"name": queue, **given_policy(policy)}
    response = client.call("POST", "/queues", json=wanted, accept=(409,) if if_missing else ())
    if response.is_error:
        remark(f"{queue} is there already")
        response = client.call("GET", queue_path(queue))
    else:
        remark(f"created {queue}")
    if as_json:
        print_json(client.decode(response))


@queue.command()
@queue_argument
@remote
def show(*, client: Client, queue: str, as_json: bool) -> None:
    """Show a queue: what it holds, and its policy.

    Example: broker queue show mail
    """
    found = client.decode(client.call("GET", queue_path(queue)))
    if as_json:
        print_json(found)
    else:
        print_table(["field", "value"], _fields(found))


@queue.command("set")
@queue_argument
@policy_options
@remote
def change(*, client: Client, queue: str, as_json: bool, **policy: object) -> None:
    """Change a queue's policy; what is not given stays.

    Example: broker queue set mail --lease-seconds 60 --default-ttl none
    """
    changes = given_policy(policy)
    if not changes:
        raise click.UsageError("give at least one option to change; --help lists them")
    response = client.call("PATCH", queue_path(queue), json=changes)
    remark(f"changed {queue}")
    if as_json:
        print_json(client.decode(response))


@queue.command()
@queue_argument
@yes_option
@remote
def delete(*, client: Client, queue: str, yes: bool, as_json: bool) -> None:
    """Delete a queue with everything in it.

    Example: broker queue delete mail --yes
    """
    confirm(f"Delete {queue} with everything in it?", yes=yes)
    client.call("DELETE", queue_path(queue))
    remark(f"deleted {queue}")
    if as_json:
        print_json({"queue": queue, "deleted": True})


@queue.command()
@queue_argument
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Repeatable.")
@click.option(
    "--older-than", type=Duration(), help="Only processed and failed ones that ended so long ago."
)
@yes_option
@remote
def purge(
    *,
    client: Client,
    queue: str,
    states: tuple[str, ...],
    older_than: float | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove a queue's messages that are in the given states; pending ones by default.

    Example: broker queue purge mail --state failed --older-than 7d --yes
    """
    named = states or ("pending",)
    confirm(f"Remove the {' and '.join(named)} messages of {queue}?", yes=yes)
    age = {} if older_than is None else {"older_than": older_than}
    count = _act(client, queue, "purge", as_json=as_json, json={"states": named, **age})
    remark(f"removed {counted(count)} from {queue}")


@queue.command()
@queue_argument
@remote
def redrive(*, client: Client, queue: str, as_json: bool) -> None:
    """Bring failed messages and dead letters back to where they came from.

    Example: broker queue redrive mail.dead
    """
    count = _act(client, queue, "redrive", as_json=as_json)
    remark(f"brought back {counted(count)}")


@queue.command()
@queue_argument
@remote
def pause(*, client: Client, queue: str, as_json: bool) -> None:
    """Let a queue take messages and give none out.

    Example: broker queue pause mail
    """
    _act(client, queue, "pause", as_json=as_json)
    remark(f"paused {queue}")


@queue.command()
@queue_argument
@remote
def resume(*, client: Client, queue: str, as_json: bool) -> None:
    """Let a paused queue give messages out again.

    Example: broker queue resume mail
    """
    _act(client, queue, "resume", as_json=as_json)
    remark(f"resumed {queue}")


def _pages(client: Client, prefix: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    query = {"limit": str(PAGE), "prefix": prefix}
    while True:
        response = client.call("GET", "/queues", params=query)
        found += client.decode(response)
        if "next" not in response.links:
            return found
        query["after"] = found[-1]["name"]


def _act(client: Client, queue: str, action: str, *, as_json: bool, json: object = None) -> int:
    answer = client.decode(client.call("POST", queue_path(queue, f"/{action}"), json=json))
    if as_json:
        print_json({"queue": queue, **answer})
    count: int = answer.get("count", 0)
    return count


def _remarks(row: dict[str, Any]) -> str:
    return "paused" if row["policy"]["paused"] else ""


def _fields(found: dict[str, Any], within: str = "") -> list[tuple[str, object]]:
    """Flatten a document into dotted names and values, in its order."""
    rows: list[tuple[str, object]] = []
    for name, value in found.items():
        if isinstance(value, dict):
            rows += _fields(value, f"{within}{name}.")
        else:
            rows.append((within + name, value))
    return rows
