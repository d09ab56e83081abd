"""`broker acme where`."""

import click

import broker
from broker.commands import json_option, print_json, print_table


@click.group()
def acme() -> None:
    """Look after the acme store."""


@acme.command()
@json_option
@click.pass_obj
def where(plugin: broker.PluginContext, *, as_json: bool) -> None:
    """Tell where the store is."""
    path = str(plugin.data_dir / "acme.db")
    if as_json:
        print_json({"path": path})
    else:
        print_table(["path"], [[path]])


@broker.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `broker acme`."""
    cli.add_command(acme)
