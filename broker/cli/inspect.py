"""`broker plugins` and `broker doctor`.

What is looked at here may be broken; that is reported, and nothing dies of it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker.commands import json_option, print_json, print_table
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
    """List the installed plugins, what they add, and what is wrong with those that are enabled.

    Example: broker plugins --json
    """
    rows = _plugin_rows(_config_or_default(config_path))
    if as_json:
        print_json(rows)
        return
    columns = ["name", "enabled", "distribution", "version", "hooks", "commands", "problem"]
    print_table(columns, [[_cell(row[column]) for column in columns] for row in rows])


@click.command()
@CONFIG_OPTION
@json_option
def doctor(*, config_path: Path | None, as_json: bool) -> None:
    """Check the config, every enabled plugin and what it provides; say how to mend what is wrong.

    Each provider is opened, asked for its health and closed. Exits 0 when all is well, 1 with
    warnings only, otherwise with the code of the first error.

    Example: broker doctor --config broker.toml
    """
    import asyncio

    from broker.doctor import examine

    findings = asyncio.run(examine(config_path))
    if as_json:
        print_json([{"level": f.level, "subject": f.subject, "text": f.text} for f in findings])
    else:
        for finding in findings:
            click.echo(f"{finding.level:8} {finding.subject:16} {finding.text}")
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
        click.echo(f"broker: {error}", err=True)
        return error.config if isinstance(error, RefusedConfig) else Config()


def _plugin_rows(config: Config) -> list[dict[str, Any]]:
    from broker.plugins import discover, inspect_plugins

    inspected = {record.name: (record, problem) for record, problem in inspect_plugins(config)}
    rows = []
    for name, records in discover().items():
        for found in records:
            record, problem = inspected.pop(name, (found, None))
            rows.append(_row(record, enabled=name in config.enabled, problem=problem))
    rows += [_row(record, enabled=True, problem=why) for record, why in inspected.values()]
    for row in rows:
        _note_commands(row, config)
    return rows


def _note_commands(row: dict[str, Any], config: Config) -> None:
    """Note what a plugin adds to `broker`, or why it cannot."""
    from broker.cli.added import commands_of
    from broker.plugins import load_one

    if "register_commands" in row["hooks"] and row["problem"] is None:
        try:
            row["commands"] = sorted(commands_of(load_one(row["name"], config)))
        except BrokerError as error:
            row["problem"] = str(error)


def _row(record: Any, *, enabled: bool, problem: str | None) -> dict[str, Any]:
    return {
        "name": record.name,
        "enabled": enabled,
        "distribution": record.distribution,
        "version": record.version,
        "module": record.module,
        "hooks": list(record.hooks),
        "commands": [],
        "problem": problem,
    }


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)
