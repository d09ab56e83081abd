"""What `broker plugins` lists: every plugin that is installed or enabled, and what it adds.

Of one that is not enabled nothing is imported, not even the packages that its module is in. What
the others provide is built, as a start does it, and never opened.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec

import click
import msgspec

from broker.alarm import alarm
from broker.cli.added import commands_of
from broker.commands import print_table, remark
from broker.config import Config
from broker.config.settings import FALLBACKS
from broker.discovery import PluginRecord, discover
from broker.doctor.roles import put_together
from broker.errors import StartupError
from broker.loading import INSPECT_SECONDS, Attempt, inspect_plugins
from broker.wording import described, printable


class Row(msgspec.Struct, kw_only=True):
    """A plugin, as `--json` shows it."""

    name: str
    enabled: bool
    distribution: str
    version: str
    module: str
    path: str | None
    """The file of its module; None if it cannot be found."""
    roles: list[str]
    hooks: list[str]
    commands: list[str]
    why_not: str | None
    """Why it does nothing now; None if it works."""


def take_inventory(config: Config) -> list[Row]:
    """Return a row for each distribution's plugin, then for those that are not installed."""
    attempts = {attempt.record.name: attempt for attempt in inspect_plugins(config)}
    misfits = _misfits(config, list(attempts.values()))
    rows = []
    for name, records in discover().items():
        attempt = attempts.pop(name, None)
        rows += [
            _other(record, config) if attempt is None else _enabled(record, attempt, misfits)
            for record in records
        ]
    return rows + [_enabled(attempt.record, attempt, misfits) for attempt in attempts.values()]


def print_rows(rows: Sequence[Row]) -> None:
    """Print them: some lines for each on a terminal, else one, with tabs between the columns."""
    if sys.stdout.isatty():
        click.echo("\n\n".join(map(_paragraph, rows)))
        return
    columns = list(Row.__struct_fields__)
    print_table(columns, [[_plain(getattr(row, column)) for column in columns] for row in rows])


def _misfits(config: Config, attempts: Sequence[Attempt]) -> dict[str, str]:
    """Return why plugins that load cannot be built, by name; remark what is wrong between them."""
    _, findings = put_together(config, attempts)
    for finding in findings:
        if finding.subject not in config.enabled:
            remark(f"broker: {finding.text}")
    return {finding.subject: finding.text for finding in findings}


def _enabled(record: PluginRecord, attempt: Attempt, misfits: Mapping[str, str]) -> Row:
    row = _row(record, enabled=True)
    if attempt.stage == "not-installed":
        row.why_not = "listed in broker.plugins, but not installed"
    elif attempt.findings:
        row.why_not = f"broken: {'; '.join(map(str, attempt.findings))}"
    if attempt.plugin is None:
        return row
    row.hooks = list(attempt.record.hooks)
    row.roles = list(attempt.record.roles)
    if "register_commands" in row.hooks and row.why_not is None:
        try:
            with alarm(INSPECT_SECONDS):
                row.commands = sorted(commands_of(attempt.plugin))
        except StartupError as error:
            row.why_not = f"broken: {error}"
        except KeyboardInterrupt:
            raise
        # An isolation point: what it registers is its own, and may do anything.
        except BaseException as error:  # noqa: BLE001  # see above
            row.why_not = f"broken: {described(error)}"
    if row.why_not is None and record.name in misfits:
        row.why_not = f"broken: {misfits[record.name]}"
    return row


def _other(record: PluginRecord, config: Config) -> Row:
    row = _row(record, enabled=False)
    if record.name in FALLBACKS:
        row.why_not = f"fallback, used when no plugin provides {FALLBACKS[record.name]}"
    elif record.name in config.broker.disable:
        row.why_not = "built in, disabled by broker.disable"
    else:
        row.why_not = "installed, not listed in broker.plugins"
    return row


def _row(record: PluginRecord, *, enabled: bool) -> Row:
    return Row(
        name=record.name,
        enabled=enabled,
        distribution=record.distribution,
        version=record.version,
        module=record.module,
        path=_path_of(record.module),
        roles=[],
        hooks=[],
        commands=[],
        why_not=None,
    )


def _path_of(module: str) -> str | None:
    """Return the file that would be imported, importing nothing on the way to it."""
    top, *inner = module.partition(":")[0].strip().split(".")
    try:
        spec: ModuleSpec | None = find_spec(top)
        for part in inner:
            if spec is None or spec.submodule_search_locations is None:
                return None
            name = f"{spec.name}.{part}"
            spec = PathFinder.find_spec(name, spec.submodule_search_locations)
    except (ImportError, ValueError):
        return None
    return None if spec is None else spec.origin


def _paragraph(row: Row) -> str:
    state = "enabled" if row.enabled else "not enabled"
    lines = [f"{row.name}: {state}" if row.why_not is None else f"{row.name}: {row.why_not}"]
    adds = [*row.roles, *(f"broker {command}" for command in row.commands)]
    lines += [
        f"  {text}"
        for text in (f"{row.distribution} {row.version}".strip(), row.path, ", ".join(adds))
        if text
    ]
    return "\n".join(map(printable, lines))


def _plain(value: object) -> object:
    return printable(value) if isinstance(value, str) else value
