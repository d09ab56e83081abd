"""What is granted by the commands of users and tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from broker import PluginContext

from broker_auth_jwt.scopes import Roles

Command = Callable[..., Any]


def grant_option(*, required: bool) -> Callable[[Command], Command]:
    """Give a command `--grant`, which it takes as `grants`: names of roles, and scopes."""
    return click.option(
        "--grant",
        "grants",
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
