"""`broker config`: write a first file, check one, show what takes effect."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker.cli.first_config import FIRST_PLUGINS, first_config, remedy
from broker.commands import json_option, print_json, remark
from broker.errors import BrokerError

if TYPE_CHECKING:
    from broker.config import Config
    from broker.plugins import Plugin

CONFIG_FILE = click.Path(path_type=Path)

config_option = click.option(
    "--config",
    "path",
    type=CONFIG_FILE,
    metavar="PATH",
    help="The config file; else BROKER_CONFIG, else ./broker.toml.",
)


@click.group()
def config() -> None:
    """Write, check and show the config file."""


@config.command()
@click.option(
    "--path",
    "--config",
    "path",
    type=CONFIG_FILE,
    default=Path("broker.toml"),
    show_default=True,
    metavar="PATH",
    help="Where to write it.",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@click.option("--example", is_flag=True, help="With limits for everything, to start from.")
@json_option
def init(*, path: Path, force: bool, example: bool, as_json: bool) -> None:
    """Write a commented file that works as it is.

    Example: broker config init --path /etc/broker/broker.toml
    """
    from broker.discovery import discover

    installed = discover()
    if example and "ratelimit" not in installed:
        raise BrokerError(f"ratelimit, which limits, is not installed: {remedy('ratelimit')}")
    try:
        _write(path, first_config(installed, example=example), force=force)
    except FileExistsError as error:
        raise BrokerError(f"{path} is there already; --force overwrites it") from error
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror}") from error
    for name in FIRST_PLUGINS:
        if name not in installed:
            remark(f"left out {name}, which is not installed: {remedy(name)}")
    if as_json:
        print_json({"path": str(path)})
        return
    option = "" if path == Path("broker.toml") else f" --config {shlex.quote(str(path))}"
    click.echo(f"wrote {path}; start the broker with: broker serve{option}")


@config.command()
@config_option
@json_option
def check(*, path: Path | None, as_json: bool) -> None:
    """Check all that a start checks before it opens anything.

    Example: broker config check --config broker.toml
    """
    from broker.assembly import assemble
    from broker.loading import read_whole_config  # imports the config library
    from broker.safety import refuse_open_door
    from broker.serving import server_named
    from broker.serving.tls import check_certificate

    settings = read_whole_config(path)
    refuse_open_door(settings, insecure=False)
    server_named(settings.server.http_server)
    check_certificate(settings)
    assembly = assemble(settings)
    info = assembly.broker.info
    if as_json:
        plugins = [{"name": plugin.name, "version": plugin.version} for plugin in info.plugins]
        found = {"config": str(settings.path), "storage": info.storage, "plugins": plugins}
        print_json({**found, "warnings": assembly.warnings})
        return
    for warning in assembly.warnings:
        remark(f"warning: {warning}")
    names = ", ".join(f"{plugin.name} {plugin.version}" for plugin in info.plugins)
    click.echo(f"{settings.path}: ok; storage {info.storage}; plugins {names or 'none'}")


@config.command()
@config_option
@json_option
def show(*, path: Path | None, as_json: bool) -> None:
    """Print the config that takes effect, defaults and all, with secrets as ********.

    Example: broker config show --json
    """
    from broker.cli import effective  # imports the config library

    tables = effective.effective(*_load(path))
    click.echo(effective.as_json(tables) if as_json else effective.as_toml(tables), nl=as_json)


@config.command()
@config_option
def schema(*, path: Path | None) -> None:
    """Print the JSON Schema of the file, with the tables of the enabled plugins.

    Example: broker config schema > broker.schema.json
    """
    from broker.cli import effective  # imports the config library

    _, plugins = _load(path)
    click.echo(effective.as_json(effective.json_schema(plugins)))


def _load(path: Path | None) -> tuple[Config, Sequence[Plugin]]:
    from broker.loading import load, read_whole_config  # imports the config library

    settings = read_whole_config(path)
    return settings, load(settings)


def _write(path: Path, text: str, *, force: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        # An existing file keeps its mode when it is opened, and it may soon hold secrets.
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            os.fchmod(file.fileno(), 0o600)
        file.write(text)
