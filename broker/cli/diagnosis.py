"""What `broker doctor` prints: what is well in a table, then what is not, each with its remedy."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import click

from broker.commands import print_table, remark
from broker.doctor import CHECKS, Finding

WIDTH = 80


def summary(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the version of the broker, and how many errors and warnings there are."""
    levels = [finding.level for finding in findings]
    return {
        "broker": version("replika-broker"),
        "errors": levels.count("error"),
        "warnings": levels.count("warning"),
    }


def print_findings(findings: Sequence[Finding]) -> None:
    """Print them for people on a terminal, and else one a line: level, check, subject, text,
    remedy, with tabs between."""
    # What is wrong comes last, where whoever reads a terminal looks first; the worst at the end.
    troubles = [f for level in ("warning", "error") for f in findings if f.level == level]
    well = [finding for finding in findings if finding.level == "ok"]
    if sys.stdout.isatty():
        print_table(["part", "subject", "found"], list(_grouped(well)))
        for finding in troubles:
            click.echo(f"\n{_paragraph(finding)}")
        click.echo()
    else:
        rows = [[f.level, f.check, f.subject, f.text, f.remedy] for f in [*well, *troubles]]
        print_table(["level", "check", "subject", "found", "remedy"], rows)
    remark(_verdict(findings))


def _grouped(findings: Sequence[Finding]) -> Iterator[list[str]]:
    parts = dict.fromkeys(check.part for check in CHECKS.values())
    for part in parts:
        members = [finding for finding in findings if CHECKS[finding.check].part == part]
        for index, finding in enumerate(members):
            yield ["" if index else part, finding.subject, finding.text]


def _paragraph(finding: Finding) -> str:
    lines = (
        f"{finding.level}: {finding.subject} ({finding.check})",
        _wrapped(finding.text, first="  "),
        _wrapped(finding.remedy, first="  remedy: "),
    )
    return "\n".join(lines)


def _wrapped(text: str, *, first: str) -> str:
    return click.wrap_text(text, WIDTH, initial_indent=first, subsequent_indent="    ")


def _verdict(findings: Sequence[Finding]) -> str:
    found = summary(findings)
    if not found["errors"] and not found["warnings"]:
        return "All is well."
    counts = [_counted(found["errors"], "error"), _counted(found["warnings"], "warning")]
    return f"{' and '.join(filter(None, counts))}; docs/operations.md tells of each check."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""
