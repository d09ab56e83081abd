"""`make bench`: measure, and print a table."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from bench import (
    auth,
    backlog,
    batches,
    delivery,
    events,
    graphs,
    growth,
    hostile,
    isolation,
    ratelimit,
    single,
    tracing,
    watching,
)
from bench.figures import CORES, Measured, Suite
from bench.machine import describe

SUITES: dict[str, Suite] = {
    "single": single.on_hypercorn,
    "granian": single.on_granian,
    "auth": auth.measure,
    "batches": batches.measure,
    "backlog": backlog.measure,
    "delivery": delivery.measure,
    "events": events.measure,
    "graphql": graphs.measure,
    "growth": growth.measure,
    "hostile": hostile.measure,
    "isolation": isolation.measure,
    "ratelimit": ratelimit.measure,
    "tracing": tracing.measure,
    "watching": watching.measure,
}

_HEAD = ("row", "figure", "lowest", "highest", "bound", "holds", "generator")


@click.command()
@click.argument("suites", nargs=-1, type=click.Choice(list(SUITES)))
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="Where databases are made: on the disk that is meant.",
)
def main(*, suites: tuple[str, ...], rounds: int, directory: Path) -> None:
    """Measure all suites, or those that are named."""
    results: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=directory) as name:
        own = Path(name)
        click.echo(describe(own))
        for suite in dict.fromkeys(suites or SUITES):
            click.echo(f"measuring {suite} ...")
            (own / suite).mkdir()
            results += SUITES[suite](own / suite, rounds)
    click.echo(
        f"\nMedians of {rounds} rounds, but memory: one. Generator: its share of {CORES} cores.\n"
    )
    click.echo(_line(_HEAD))
    for measured in results:
        click.echo(_line(_cells(measured)))


def _line(cells: Sequence[str]) -> str:
    name, *others = cells
    return f"{name:<40}" + "".join(f"{cell:>10}" for cell in others)


def _cells(measured: Measured) -> list[str]:
    row = measured.row
    lowest, highest = measured.spread
    bound = ""
    if row.at_least is not None and row.at_most is not None:
        bound = f"{row.at_least:g}-{row.at_most:g}"
    elif row.at_least is not None:
        bound = f">= {row.at_least:g}"
    elif row.at_most is not None:
        bound = f"<= {row.at_most:g}"
    return [
        row.name,
        _shown(measured.figure, row.unit),
        _shown(lowest, row.unit),
        _shown(highest, row.unit),
        bound,
        "" if not bound else "yes" if measured.holds else "NO",
        f"{measured.generator_share:.0%}",
    ]


def _shown(figure: float, unit: str) -> str:
    if unit == "ratio":
        return f"{figure:.2f}"
    if unit == "/s":
        return f"{figure:.0f}/s"
    return f"{figure:.1f} {unit}"


if __name__ == "__main__":
    main()
