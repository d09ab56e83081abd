"""The commands that plugins add to `broker`.

They are found in the config that they will work with. It may be their own `--config` that names
it, so that option is looked for before the command is known.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from broker.assembly import make_context
from broker.cli import COMMANDS
from broker.commands import remark
from broker.config import Config, read_config
from broker.config.settings import DEFAULT_FILE
from broker.context import Clock, PluginContext
from broker.errors import ConfigError, PluginError, StartupError
from broker.loading import load_one
from broker.meter import Meter
from broker.plugins import Plugin
from broker.wording import quoted, shown


def find_command(name: str, args: Sequence[str]) -> tuple[click.Command, PluginContext] | None:
    """Return what an enabled plugin adds as `broker <name>`, and that plugin's context.

    `args` follow the name. None if no plugin adds it; raises ConfigError if that cannot be told.
    """
    path = _given_config(args)
    if path is None and not os.environ.get("BROKER_CONFIG") and not DEFAULT_FILE.exists():
        remark(
            f"broker: there is no {DEFAULT_FILE} here, so commands of plugins are not known; name"
            " a config with --config or BROKER_CONFIG"
        )
        return None
    config = read_config(path)
    found, problems = _search(name, config)
    if len(found) > 1:
        plugins = quoted(plugin.name for plugin, _ in found)
        remedy = "remove all but one from broker.plugins"
        raise ConfigError(f"plugins {plugins} each add the command {shown(name)}; {remedy}")
    if problems and not found:
        told = "\n".join(map(str, problems))
        raise ConfigError(f"{told}\nno other plugin adds the command {shown(name)}")
    if not found:
        return None
    [(plugin, command)] = found
    _take_config(command)
    return command, make_context(plugin, config, Clock(), Meter())


def commands_of(plugin: Plugin) -> Mapping[str, click.Command]:
    """Return the commands that a plugin adds, by name; raises PluginError."""
    group = click.Group()
    plugin.call("register_commands", cli=group)
    for name in COMMANDS:
        if name in group.commands:
            problem = f"adds the command {shown(name)}, which the broker has itself; rename it"
            raise PluginError(plugin.name, problem)
    return group.commands


def _search(
    name: str, config: Config
) -> tuple[list[tuple[Plugin, click.Command]], list[StartupError]]:
    """Ask every enabled plugin; one that is broken does not hide the commands of others."""
    found: list[tuple[Plugin, click.Command]] = []
    problems: list[StartupError] = []
    for enabled in config.enabled:
        try:
            plugin = load_one(enabled, config)
            command = commands_of(plugin).get(name)
        except StartupError as error:
            problems.append(error)
        else:
            if command is not None:
                found.append((plugin, command))
    return found, problems


def _take_config(command: click.Command) -> None:
    """Let a plugin's command, or each of a group, take `--config`; its value is read already."""
    if isinstance(command, click.Group):
        for member in command.commands.values():
            _take_config(member)
    elif not any("--config" in parameter.opts for parameter in command.params):
        command.params.append(_config_option(expose_value=False))


def _given_config(args: Sequence[str]) -> Path | None:
    """Return what `--config` says among arguments of which nothing else is known."""
    lenient = {"ignore_unknown_options": True, "allow_extra_args": True}
    finder = click.Command(
        "", params=[_config_option()], add_help_option=False, context_settings=lenient
    )
    context = finder.make_context("", list(args), resilient_parsing=True)
    path: Path | None = context.params.get("config")
    return path


def _config_option(*, expose_value: bool = True) -> click.Option:
    return click.Option(
        ["--config"],
        type=click.Path(path_type=Path),
        metavar="PATH",
        expose_value=expose_value,
        help="The config file; else BROKER_CONFIG, else ./broker.toml.",
    )
