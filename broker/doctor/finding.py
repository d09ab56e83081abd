"""What a check finds, how bad that is, and what to do about it."""

from __future__ import annotations

from typing import Literal

import msgspec

from broker.doctor.checks import CHECKS
from broker.wording import printable

Level = Literal["ok", "warning", "error"]

CONFIG_EXIT = 78


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at; `check` is a key of `CHECKS`."""

    level: Level
    check: str
    subject: str
    text: str
    remedy: str = ""
    """What to do; every warning and every error has one."""
    exit_code: int = 0
    """What `broker serve` would end with, for an error."""


def ok(check: str, subject: str, text: str) -> Finding:
    """Return that something is as it should be."""
    return _make("ok", check, subject, text, remedy="")


def warning(check: str, subject: str, text: str, remedy: str = "") -> Finding:
    """Return that a start would succeed, but not all is well; the remedy is the check's unless
    one is given."""
    return _make("warning", check, subject, text, remedy=remedy or CHECKS[check].remedy)


def error(
    check: str, subject: str, text: str, remedy: str = "", *, exit_code: int = CONFIG_EXIT
) -> Finding:
    """Return that a start would fail; the remedy is the check's unless one is given."""
    remedy = remedy or CHECKS[check].remedy
    return _make("error", check, subject, text, remedy=remedy, exit_code=exit_code)


def _make(
    level: Level, check: str, subject: str, text: str, *, remedy: str, exit_code: int = 0
) -> Finding:
    assert check in CHECKS, check
    # What plugins and their metadata say goes to a terminal, in one line.
    subject, text, remedy = (printable(" ".join(part.split())) for part in (subject, text, remedy))
    return Finding(
        level=level, check=check, subject=subject, text=text, remedy=remedy, exit_code=exit_code
    )
