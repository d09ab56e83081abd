"""`broker token`: tokens of programs, which do not log in."""

from __future__ import annotations

from typing import Any, Literal

import click
import msgspec
from broker import BrokerError, PluginContext, timestamp
from broker.commands import Duration, json_option, print_json, print_table, remark

from broker_auth_jwt.arguments import grant_option
from broker_auth_jwt.desk import Desk, at_desk
from broker_auth_jwt.service_tokens import ServiceToken

DEFAULT_SECONDS = 90 * 86_400
LONGEST_SECONDS = 10 * 365 * 86_400


class Lifetime(Duration):
    """How long something is valid, like `90d`; it becomes seconds."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds."""
        seconds = super().convert(value, param, ctx)
        if not 1 <= seconds <= LONGEST_SECONDS:
            self.fail("expected 1s to 3650d", param, ctx)
        return seconds


class TokenNotFound(BrokerError):
    """No token that is not revoked has this id or name."""

    code, title, status, exit_code = "token-not-found", "Token not found", 404, 3

    def __init__(self, text: str) -> None:
        super().__init__(f'there is no token "{text}" that could be revoked')


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a token."""

    id: str
    name: str
    state: Literal["valid", "expired", "revoked"]
    grants: list[str]
    scopes: list[str]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


@click.group()
def token() -> None:
    """Make, list and revoke tokens of programs."""


@token.command()
@click.argument("name")
@grant_option(required=True)
@click.option(
    "--expires",
    "lifetime",
    type=Lifetime(),
    help="How long it is valid; 90d by default.",
)
@click.option("--never", is_flag=True, help="Let it be valid until it is revoked.")
@json_option
@click.pass_obj
def create(
    plugin: PluginContext,
    *,
    name: str,
    grants: tuple[str, ...],
    lifetime: float | None,
    never: bool,
    as_json: bool,
) -> None:
    """Make a token for a program, which may do what is granted, and nothing else.

    It is printed once, and kept nowhere. Several may have one name, so that a new one is in use
    before the old one is revoked.

    Example: BROKER_TOKEN=$(broker token create shop --grant 'publish:orders-*' --expires 30d)
    """
    if never and lifetime is not None:
        raise click.UsageError("give --expires or --never")
    seconds = lifetime or DEFAULT_SECONDS

    async def work(desk: Desk) -> tuple[TokenView, str]:
        end = None if never else desk.now + round(seconds * 1000)
        tokens = desk.accounts.service_tokens
        made, text = await tokens.create(name, grants=grants, now=desk.now, expires_at=end)
        desk.record(
            "token.created", token_id=made.id, token_name=name, grants=grants, expires_at=end
        )
        return _view(desk, made), text

    view, text = at_desk(plugin, work)
    if as_json:
        print_json({**msgspec.to_builtins(view), "token": text})
    else:
        click.echo(text)
    until = view.expires_at or "it is revoked"
    remark(f"{view.id} ({name}) is valid until {until}; it is not shown again")


@token.command("list")
@json_option
@click.pass_obj
def list_tokens(plugin: PluginContext, *, as_json: bool) -> None:
    """List the tokens: id, name, state, what is granted, when they end and were last used.

    Example: broker token list --json
    """

    async def work(desk: Desk) -> list[TokenView]:
        return [_view(desk, found) for found in await desk.accounts.service_tokens.list()]

    views = at_desk(plugin, work)
    if as_json:
        print_json(views)
        return
    rows = [
        [row.id, row.name, row.state, row.grants, row.expires_at, row.last_used_at] for row in views
    ]
    print_table(["id", "name", "state", "grants", "expires", "last used"], rows)


@token.command()
@click.argument("id_or_name", metavar="ID|NAME")
@json_option
@click.pass_obj
def revoke(plugin: PluginContext, *, id_or_name: str, as_json: bool) -> None:
    """End a token, from the next request on. A name must be that of one token only.

    Example: broker token revoke shop
    """

    async def work(desk: Desk) -> TokenView:
        found = await _find(desk, id_or_name)
        await desk.accounts.service_tokens.revoke(found.id, now=desk.now)
        desk.record("token.revoked", token_id=found.id, token_name=found.name)
        return _view(desk, msgspec.structs.replace(found, revoked_at=desk.now))

    view = at_desk(plugin, work)
    remark(f"revoked {view.id} ({view.name})")
    if as_json:
        print_json(view)


async def _find(desk: Desk, text: str) -> ServiceToken:
    """Return the one token that is meant and not revoked."""
    tokens = [one for one in await desk.accounts.service_tokens.list() if one.revoked_at is None]
    found = [one for one in tokens if one.id == text] or [one for one in tokens if one.name == text]
    if not found:
        raise TokenNotFound(text)
    if len(found) > 1:
        ids = ", ".join(one.id for one in found)
        raise click.UsageError(f'{len(found)} tokens have the name "{text}"; give an id: {ids}')
    return found[0]


def _view(desk: Desk, found: ServiceToken) -> TokenView:
    is_over = found.expires_at is not None and found.expires_at <= desk.now
    return TokenView(
        id=found.id,
        name=found.name,
        state="revoked" if found.revoked_at is not None else "expired" if is_over else "valid",
        grants=sorted(found.grants),
        scopes=desk.scopes_of(found.grants),
        created_at=timestamp(found.created_at),
        expires_at=timestamp(found.expires_at),
        revoked_at=timestamp(found.revoked_at),
        last_used_at=timestamp(found.last_used_at),
    )
