"""`broker plugins` and `broker doctor`.

What is looked at here may be broken; that is reported, and nothing dies of it. What plugins print
meanwhile goes to stderr, so that stdout holds what the command says and nothing else.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker.commands import json_option, print_json, remark
from broker.errors import BrokerError

if TYPE_CHECKING:
    from broker.config import Config

CONFIG_OPTION = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The config file; BROKER_CONFIG or broker.toml by default.",
)


@click.command()
@CONFIG_OPTION
@json_option
def plugins(*, config_path: Path | None, as_json: bool) -> None:
    """List the plugins that are installed or enabled, what they add, and why others do nothing.

    Only those that are enabled are imported. Example: broker plugins --json
    """
    from broker.cli.inventory import print_rows, take_inventory

    with redirect_stdout(sys.stderr):
        rows = take_inventory(_config_or_default(config_path))
    if as_json:
        print_json(rows)
    else:
        print_rows(rows)


@click.command()
@CONFIG_OPTION
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a provider may take to open, to answer, or to close.",
)
@json_option
def doctor(*, config_path: Path | None, seconds: float, as_json: bool) -> None:
    """Check the installation, the config, every plugin; say how to mend what is wrong.

    All that plugins provide is opened as a start does it, asked for its health and closed; so run
    it as the user that runs the broker. Exits 0 when all is well, 1 with warnings only, otherwise
    with the code of the first error. Example: broker doctor --config broker.toml
    """
    from broker.cli.diagnosis import print_findings, summary
    from broker.doctor import examine

    with redirect_stdout(sys.stderr):
        findings = examine(config_path, seconds=seconds)
    if as_json:
        print_json({**summary(findings), "findings": findings})
    else:
        print_findings(findings)
    errors = [finding.exit_code for finding in findings if finding.level == "error"]
    if errors:
        sys.exit(errors[0])
    sys.exit(1 if any(finding.level == "warning" for finding in findings) else 0)


def _config_or_default(path: Path | None) -> Config:
    """Read the config; without one, or with a broken one, show what is installed all the same."""
    from broker.config import Config, RefusedConfig, read_config

    try:
        return read_config(path)
    except BrokerError as error:
        for line in str(error).splitlines():
            remark(f"broker: {line}")
        return error.config if isinstance(error, RefusedConfig) else Config()
