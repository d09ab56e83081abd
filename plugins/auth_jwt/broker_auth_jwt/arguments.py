"""What the commands of users and tokens are given."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click
from broker import PluginContext, read_duration

from broker_auth_jwt.passwords import check_password
from broker_auth_jwt.scopes import Roles

LONGEST_LINE = 65_536
LONGEST_SECONDS = 10 * 365 * 86_400

Command = Callable[..., Any]


class Lifetime(click.ParamType):  # type: ignore[type-arg]  # a generic in newer versions only
    """How long something is valid, like `90d`; it becomes seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds."""
        try:
            seconds = read_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not 1 <= seconds <= LONGEST_SECONDS:
            self.fail("expected 1s to 3650d", param, ctx)
        return seconds


def json_option(command: Command) -> Command:
    """Give a command `--json`, which it takes as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def grant_option(*, required: bool) -> Callable[[Command], Command]:
    """Give a command `--grant`, which it takes as `grants`: names of roles, and scopes."""
    return click.option(
        *("--grant", "--role", "--scope", "grants"),
        multiple=True,
        required=required,
        callback=check_grants,
        help="A role, or a scope like publish:orders-*. Repeatable.",
    )


def check_grants(
    ctx: click.Context, param: click.Parameter, grants: tuple[str, ...]
) -> tuple[str, ...]:
    """Return what was given; raises BadParameter for what is neither a role nor a scope."""
    plugin = ctx.find_object(PluginContext)
    assert plugin is not None
    roles = Roles(plugin.config.all_roles)
    for grant in grants:
        try:
            roles.check(grant)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error
    return grants


def ask_password() -> str:
    """Return a new password: typed twice on a terminal, else the first line of stdin."""
    if sys.stdin.isatty():
        password: str = click.prompt(
            "Password", hide_input=True, confirmation_prompt=True, err=True
        )
    else:
        password = _first_line()
    try:
        check_password(password)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return password


def _first_line() -> str:
    line = sys.stdin.buffer.readline(LONGEST_LINE).removesuffix(b"\n").removesuffix(b"\r")
    if not line:
        raise click.UsageError("there is no password: the first line of stdin is empty")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise click.UsageError("the password is not UTF-8") from None  # the cause tells of it
