"""The command line: `broker`.

A command's module is imported when that command runs, so that `broker --help` is there at once.
Data goes to stdout, everything that is said about it to stderr. Exit codes: 0 ok, 1 error,
2 usage or a refused field, 3 empty or not found, 4 auth, 5 unavailable, 74 I/O, 75 locked,
78 config, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

import broker
from broker.context import PluginContext
from broker.errors import BrokerError

IO_ERROR = 74
INTERRUPTED = 130

COMMANDS = {
    "serve": ("broker.cli.serve", "serve", "Run the broker."),
    "publish": ("broker.cli.publish", "publish", "Publish messages, or the lines of a file."),
    "consume": ("broker.cli.consume", "consume", "Take messages and print them."),
    "queue": ("broker.cli.queue", "queue", "Make, list, change, empty and delete queues."),
    "login": ("broker.cli.login", "login", "Let the commands here work as a user."),
    "logout": ("broker.cli.login", "logout", "End what login began."),
    "config": ("broker.cli.config", "config", "Write, check and show the configuration."),
    "cert": ("broker.cli.cert", "cert", "Make a certificate to try HTTPS."),
    "plugin": ("broker.cli.plugin", "plugin", "Begin a plugin of your own."),
    "plugins": ("broker.cli.inspect", "plugins", "List the plugins that are installed."),
    "doctor": ("broker.cli.inspect", "doctor", "Find out what is wrong with an installation."),
}
"""By name: the module and the attribute that hold the command, and what `--help` says of it."""

ABRUPT = frozenset({"granian", "broker.cli.inspect"})
"""What has been imported when the process must not be cleaned up at its end: a thread of Granian's
that came in between would abort it, and what broken plugins left behind would keep it."""


class Commands(click.Group):
    """The group `broker`, which imports nothing that the command in hand does not need."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click says which arguments
        """Name the core's commands; those of plugins are known only when they are asked for."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click says which arguments
        """Import a command of the core."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Look for a command in the core, then in the plugins, which are given their context."""
        name, *rest = args
        if name not in COMMANDS and (found := plugin_command(name, rest)):
            command, ctx.obj = found
            return name, command, rest
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click says which arguments
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whatever it fails with becomes lines on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except (BrokerError, OSError, KeyboardInterrupt) as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            raise click.exceptions.Exit(_explain(error)) from error


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Plugins add commands of their own; `broker plugins` tells which.",
)
@click.version_option(broker.__version__, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(*, debug: bool) -> None:
    """Replika Broker: a message broker that is assembled from plugins."""


def main() -> None:
    """Run the command line and exit."""
    try:
        cli(prog_name="broker")
    except SystemExit as end:
        if not ABRUPT.isdisjoint(sys.modules):
            _leave(end)
        raise


def _leave(end: SystemExit) -> None:
    """Exit without Python's clean-up."""
    logging.shutdown()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(end.code if isinstance(end.code, int) else 0 if end.code is None else 1)


def plugin_command(name: str, args: Sequence[str]) -> tuple[click.Command, PluginContext] | None:
    """Return what an enabled plugin adds as `broker <name>`, and that plugin's context."""
    from broker.cli.added import find_command  # imports the config library, loads plugins

    return find_command(name, args)


def _explain(error: BrokerError | OSError | KeyboardInterrupt) -> int:
    """Say on stderr what ended a command, and return its exit code."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return 0  # whoever read this has seen enough, as in `broker queue list | head -1`
    for line in str(error).splitlines():
        click.echo(f"broker: {line}", err=True)
    return error.exit_code if isinstance(error, BrokerError) else IO_ERROR
