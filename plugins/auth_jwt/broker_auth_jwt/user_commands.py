"""`broker user`: who may log in, and what they may do."""

from __future__ import annotations

import click
import msgspec
from broker import BrokerError, PluginContext
from broker.commands import json_option, print_json, print_table, read_password, remark

from broker_auth_jwt.arguments import check_grants, grant_option
from broker_auth_jwt.audit import Action
from broker_auth_jwt.desk import Desk, at_desk
from broker_auth_jwt.last_admin import refuse_last_admin
from broker_auth_jwt.passwords import check_password, hash_password
from broker_auth_jwt.scopes import ADMIN
from broker_auth_jwt.user_view import UserView, view_user
from broker_auth_jwt.users import User, UserExists, UserNotFound, check_name

force_option = click.option("--force", is_flag=True, help="Also if no admin is left then.")


class NotGranted(BrokerError):
    """What is to be revoked was never granted, so that revoking it would change nothing."""

    code, title, status, exit_code = "not-granted", "Not granted", 404, 3

    def __init__(self, user: User, grant: str) -> None:
        granted = ", ".join(sorted(user.grants)) or "nothing"
        super().__init__(f'"{grant}" is not granted to "{user.name}", but {granted}')


@click.group()
def user() -> None:
    """Add, list and change users, and what they may do."""


@user.command()
@click.argument("name")
@grant_option(required=False)
@json_option
@click.pass_obj
def add(plugin: PluginContext, *, name: str, grants: tuple[str, ...], as_json: bool) -> None:
    """Add a user, who may do what is granted, and nothing else.

    The password is asked for, or read from the first line of stdin if that is no terminal.

    Example: broker user add anna --grant producer --grant 'read:orders-*'
    """
    check_name(name)
    # Before the password is asked for, and once more by the database when it is kept.
    if at_desk(plugin, lambda desk: desk.accounts.users.find(name)) is not None:
        raise UserExists(name)
    hashed = _hash_of_new_password()

    async def work(desk: Desk) -> UserView:
        users = desk.accounts.users
        added = await users.add(name, password_hash=hashed, grants=grants, now=desk.now)
        desk.record("user.added", user=name, grants=grants)
        return view_user(desk, added)

    note = "" if grants else ", to whom nothing is granted yet"
    _tell(f"added {name}{note}", at_desk(plugin, work), as_json=as_json)


@user.command("list")
@json_option
@click.pass_obj
def list_users(plugin: PluginContext, *, as_json: bool) -> None:
    """List the users: name, whether they are enabled, and what is granted to them.

    Example: broker user list --json
    """

    async def work(desk: Desk) -> list[UserView]:
        return [view_user(desk, found) for found in await desk.accounts.users.list()]

    views = at_desk(plugin, work)
    if as_json:
        print_json(views)
        return
    rows = [[row.name, "disabled" if row.disabled else "enabled", row.grants] for row in views]
    print_table(["user", "state", "grants"], rows)


@user.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(plugin: PluginContext, *, name: str, as_json: bool) -> None:
    """Show a user: what is granted, the scopes that this comes to, how many logins are open.

    Example: broker user show anna
    """

    async def work(desk: Desk) -> UserView:
        view = view_user(desk, await _find(desk, name))
        sessions = await desk.accounts.sessions.count_open(name, now=desk.now)
        return msgspec.structs.replace(view, sessions=sessions)

    view = at_desk(plugin, work)
    if as_json:
        print_json(view)
    else:
        print_table(["field", "value"], list(msgspec.structs.asdict(view).items()))


@user.command()
@click.argument("name")
@json_option
@click.pass_obj
def passwd(plugin: PluginContext, *, name: str, as_json: bool) -> None:
    """Change a user's password, which ends every login of theirs.

    The new one is asked for, or read from the first line of stdin if that is no terminal.

    Example: broker user passwd anna
    """
    at_desk(plugin, lambda desk: _find(desk, name))
    hashed = _hash_of_new_password()

    async def work(desk: Desk) -> UserView:
        changed = await desk.accounts.users.set_password(name, hashed, now=desk.now)
        desk.record("user.password", user=name)
        return view_user(desk, changed)

    note = "who was logged in by it has to log in again"
    _tell(f"changed the password of {name}; {note}", at_desk(plugin, work), as_json=as_json)


@user.command()
@click.argument("name")
@force_option
@json_option
@click.pass_obj
def disable(plugin: PluginContext, *, name: str, force: bool, as_json: bool) -> None:
    """Let a user log in no more, and end every login of theirs.

    Example: broker user disable anna
    """
    view = _set_disabled(plugin, name, disabled=True, force=force)
    _tell(f"disabled {name}", view, as_json=as_json)


@user.command()
@click.argument("name")
@json_option
@click.pass_obj
def enable(plugin: PluginContext, *, name: str, as_json: bool) -> None:
    """Let a disabled user log in again.

    Example: broker user enable anna
    """
    view = _set_disabled(plugin, name, disabled=False, force=True)
    _tell(f"enabled {name}", view, as_json=as_json)


@user.command()
@click.argument("name")
@click.argument("grants", nargs=-1, required=True, callback=check_grants)
@json_option
@click.pass_obj
def grant(plugin: PluginContext, *, name: str, grants: tuple[str, ...], as_json: bool) -> None:
    """Grant roles or scopes to a user, from the next request on.

    Example: broker user grant anna consumer 'manage:orders-*'
    """

    async def work(desk: Desk) -> UserView:
        changed = await desk.accounts.users.grant(name, grants, now=desk.now)
        desk.record("user.granted", user=name, grants=grants)
        return view_user(desk, changed)

    view = at_desk(plugin, work)
    _tell(f"{name} may now do: {', '.join(view.scopes)}", view, as_json=as_json)


@user.command()
@click.argument("name")
@click.argument("grants", nargs=-1, required=True)
@force_option
@json_option
@click.pass_obj
def revoke(
    plugin: PluginContext, *, name: str, grants: tuple[str, ...], force: bool, as_json: bool
) -> None:
    """Take from a user what was granted, from the next request on.

    Example: broker user revoke anna consumer
    """

    async def work(desk: Desk) -> UserView:
        found = await _find(desk, name)
        for named in grants:
            if named not in found.grants:
                raise NotGranted(found, named)
        if not force and ADMIN not in desk.scopes_of(found.grants - set(grants)):
            await refuse_last_admin(desk, found)
        changed = await desk.accounts.users.revoke(name, grants, now=desk.now)
        desk.record("user.revoked", user=name, grants=grants)
        return view_user(desk, changed)

    view = at_desk(plugin, work)
    _tell(f"{name} may now do: {', '.join(view.scopes) or 'nothing'}", view, as_json=as_json)


def _hash_of_new_password() -> str:
    password = read_password(is_new=True)
    try:
        check_password(password)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return hash_password(password)


def _tell(text: str, view: UserView, *, as_json: bool) -> None:
    remark(text)
    if as_json:
        print_json(view)


def _set_disabled(plugin: PluginContext, name: str, *, disabled: bool, force: bool) -> UserView:
    action: Action = "user.disabled" if disabled else "user.enabled"

    async def work(desk: Desk) -> UserView:
        if not force:
            await refuse_last_admin(desk, await _find(desk, name))
        changed = await desk.accounts.users.set_disabled(name, disabled, now=desk.now)
        desk.record(action, user=name)
        return view_user(desk, changed)

    return at_desk(plugin, work)


async def _find(desk: Desk, name: str) -> User:
    found = await desk.accounts.users.find(name)
    if found is None:
        raise UserNotFound(name)
    return found
