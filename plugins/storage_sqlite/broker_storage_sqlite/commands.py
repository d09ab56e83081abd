"""`broker db`: look after the file, mostly while no broker uses it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
import msgspec
from broker import PluginContext
from broker.commands import Duration, json_option, print_json

from broker_storage_sqlite import backup as backups
from broker_storage_sqlite import check as checks
from broker_storage_sqlite import clean as cleaning
from broker_storage_sqlite import restore as restoring
from broker_storage_sqlite import vacuum as vacuuming

FILE = click.Path(path_type=Path)


@click.group()
def db() -> None:
    """Check, back up, restore, vacuum and clean the SQLite store."""


@db.command()
@click.option("--repair", is_flag=True, help="Mend counters and the like; no broker may run.")
@json_option
@click.pass_obj
def check(plugin: PluginContext, *, repair: bool, as_json: bool) -> None:
    """Look at every page and every message, also while the broker runs.

    Exits 0 if all is well and 1 if anything is wrong.

    Example: broker db check --json
    """
    path = _path(plugin)
    repaired = asyncio.run(checks.repair(path)).repaired if repair else []
    report = checks.check(path)
    if as_json:
        lists = {"repaired": repaired, "findings": report.findings}
        print_json({**msgspec.structs.asdict(report), "ok": not report.findings, **lists})
    else:
        for finding in repaired:
            click.echo(f"repaired: {finding.line()}")
        for finding in report.findings:
            click.echo(finding.line())
        if not report.findings:
            click.echo(f"{path}: ok; {_holding(report.messages, report.queues)}")
    sys.exit(1 if report.findings else 0)


@db.command()
@click.argument("file", type=FILE)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@json_option
@click.pass_obj
def backup(plugin: PluginContext, *, file: Path, force: bool, as_json: bool) -> None:
    """Copy the store to FILE, also while the broker runs.

    FILE appears when it is whole and was checked. It holds everything that was acknowledged
    before this began.

    Example: broker db backup /backups/broker-monday.db
    """
    made = backups.back_up(_path(plugin), file, force=force)
    if as_json:
        print_json(made)
    else:
        holding = _holding(made.messages, made.queues)
        click.echo(f"{made.path}: {made.bytes} bytes, {holding}, {made.seconds} s")


@db.command()
@click.argument("file", type=FILE)
@click.option("--force", is_flag=True, help="Replace a store with queues; it is kept beside.")
@json_option
@click.pass_obj
def restore(plugin: PluginContext, *, file: Path, force: bool, as_json: bool) -> None:
    """Put a copy of a backup in the place of the store, which no broker may use.

    Example: broker db restore /backups/broker-monday.db --force
    """
    restored = restoring.restore(_path(plugin), file, force=force)
    if as_json:
        print_json(restored)
        return
    click.echo(f"{restored.path}: restored {_holding(restored.messages, restored.queues)}")
    if restored.kept is not None:
        click.echo(f"{restored.kept}: what was there before")


@db.command()
@json_option
@click.pass_obj
def vacuum(plugin: PluginContext, *, as_json: bool) -> None:
    """Give the disk back what the store does not need; no broker may use it.

    Seldom needed: a broker with nothing to do gives free pages back by itself, bit by bit.

    Example: broker db vacuum
    """
    vacuumed = asyncio.run(vacuuming.vacuum(_path(plugin)))
    if as_json:
        print_json(vacuumed)
    else:
        click.echo(f"{vacuumed.path}: {vacuumed.before} bytes before, {vacuumed.after} after")


@db.command()
@click.option("--processed", is_flag=True, help="Remove processed messages.")
@click.option("--failed", is_flag=True, help="Remove failed messages.")
@click.option(
    "--older-than", type=Duration(), required=True, help="Only if they ended so long ago."
)
@click.option("--queue", "globs", multiple=True, metavar="GLOB", help="Repeatable; else all.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@json_option
@click.pass_obj
def clean(
    plugin: PluginContext,
    *,
    processed: bool,
    failed: bool,
    older_than: float,
    globs: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove old messages, while no broker runs; a dry run is always possible.

    While one runs: broker queue purge QUEUE --state failed --older-than 7d

    Example: broker db clean --failed --older-than 7d --queue 'mail.*' --dry-run
    """
    states: list[cleaning.Finished] = ["processed"] if processed else []
    states += ["failed"] if failed else []
    if not states:
        raise click.UsageError("say what is to be removed: --processed, --failed or both")
    path, now = _path(plugin), plugin.clock.now()
    before = now - round(older_than * 1000)
    if dry_run:
        found = cleaning.find_old(path, states, before=before, globs=globs)
    else:
        found = asyncio.run(cleaning.clean(path, states, before=before, now=now, globs=globs))
    if as_json:
        print_json(found)
        return
    verb = "would remove" if dry_run else "removed"
    for old in found:
        messages = _counted(old.messages, f"{old.state} message")
        click.echo(f"{verb} {messages} of {old.queue}, {old.bytes} bytes")
    if not found:
        click.echo("there is nothing to remove")


def _path(plugin: PluginContext) -> Path:
    path: Path = plugin.data_dir / plugin.config.path
    return path.resolve()


def _holding(messages: int | None, queues: int | None) -> str:
    return f"{_counted(messages, 'message')} in {_counted(queues, 'queue')}"


def _counted(count: int | None, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
