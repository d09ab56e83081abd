"""`broker plugin new`: begin a plugin."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

import broker
from broker.commands import json_option, print_json
from broker.scaffold.roles import ROLES
from broker.wording import shown

if TYPE_CHECKING:
    from broker.scaffold.naming import Naming


@click.group()
def plugin() -> None:
    """Begin a plugin of your own. `broker plugins` lists those that are installed."""


@plugin.command()
@click.argument("name")
@click.option("--role", type=click.Choice(list(ROLES)), required=True, help="What it provides.")
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    show_default="this one",
    help="Where to make the folder broker-NAME.",
)
@json_option
def new(*, name: str, role: str, directory: Path, as_json: bool) -> None:
    """Write an installable package that keeps the contract of its role, to be made your own.

    Example: broker plugin new acme --role storage
    """
    from broker.scaffold import write_package

    naming = _read_name(name, role)
    try:
        folder = write_package(naming, role, directory)
    except FileExistsError as error:
        raise click.UsageError(f"{error.filename} is there already; nothing was written") from error
    if as_json:
        print_json({"path": str(folder), "plugin": naming.plugin, "package": naming.package})
        return
    told = {"folder": folder, "path": shlex.quote(str(folder)), "role": role}
    click.echo(_NEXT.format(plugin=naming.plugin, **told))


_NEXT = """\
wrote {folder}, which keeps the contract of the role {role}; next:
  cd {path}
  pip install --editable '.[test]'
  pytest
To run it, add "{plugin}" to `plugins` in broker.toml; then: broker doctor"""


def _read_name(text: str, role: str) -> Naming:
    """Return the names of the plugin; raises click.BadParameter for those that are taken."""
    from broker.discovery import discover  # imports the config library
    from broker.scaffold.naming import read_name

    try:
        naming = read_name(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from error
    taken = [f"a plugin of {record.distribution}" for record in discover().get(naming.plugin, ())]
    if find_spec(naming.package):
        taken.append(f"the installed package {naming.package}")
    if naming.prefix + ROLES[role].base in broker.__all__:
        taken.append(f"the class broker.{naming.prefix}{ROLES[role].base}")
    if taken:
        reason = f"{shown(naming.plugin)} is {taken[0]} already; choose another name"
        raise click.BadParameter(reason, param_hint="NAME")
    return naming
