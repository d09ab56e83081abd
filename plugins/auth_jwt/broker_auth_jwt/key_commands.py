"""`broker key`: the keys that tokens are signed with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec
from broker import ConfigError, PluginContext, timestamp
from broker.commands import json_option, print_json, print_table, remark

from broker_auth_jwt.desk import Desk, at_desk

if TYPE_CHECKING:
    from broker_auth_jwt.keyfile import KeyFile, Keys
    from broker_auth_jwt.stored_key import StoredKey


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a key."""

    kid: str
    algorithm: str
    signs: bool
    created_at: str | None = None
    verifies_until: str | None = None


@click.group()
def key() -> None:
    """List and rotate the keys that tokens are signed with."""


@key.command("list")
@json_option
@click.pass_obj
def list_keys(plugin: PluginContext, *, as_json: bool) -> None:
    """Show each key: its id, algorithm, use, when it was made, until when it verifies.

    Example: broker key list --json
    """
    if plugin.config.secret is not None:
        from broker_auth_jwt.keys import keys_of_secrets  # imports jwt

        first, *others = keys_of_secrets(plugin.config)
        views = [KeyView(kid=first.kid, algorithm=first.algorithm, signs=True)]
        views += [KeyView(kid=key.kid, algorithm=key.algorithm, signs=False) for key in others]
    else:
        keys, now = _file(plugin).read(), plugin.clock.now()
        views = [_view(key) for key in keys if not key.is_over(now)]
    _show(views, as_json=as_json)
    if not views:
        remark("there are no keys yet: the broker makes one when it starts")


@key.command()
@json_option
@click.pass_obj
def rotate(plugin: PluginContext, *, as_json: bool) -> None:
    """Sign with a new key from now on; the old one verifies until its last token is over.

    Nobody has to log in again, and no broker has to be started again.

    Example: broker key rotate
    """
    if plugin.config.secret is not None:
        raise ConfigError(
            "plugins.auth_jwt.secret is in the config, and is rotated there: move it to"
            " previous_secrets, set another one (openssl rand -hex 64), and start the broker again"
        )

    from broker_auth_jwt.keys import rotated  # imports jwt

    async def work(desk: Desk) -> Keys:
        keys = _file(plugin).change(lambda keys: rotated(keys, plugin.config, now=desk.now))
        desk.record("key.rotated", key_id=keys[0].kid)
        # By this brokers that run notice it.
        await desk.accounts.changes.increment()
        return keys

    _show([_view(key) for key in at_desk(plugin, work)], as_json=as_json)


def _file(plugin: PluginContext) -> KeyFile:
    from broker_auth_jwt.keyfile import KeyFile  # imports jwt

    return KeyFile(plugin.data_dir / plugin.config.keys)


def _view(key: StoredKey) -> KeyView:
    return KeyView(
        kid=key.kid,
        algorithm=key.alg,
        signs=key.verifies_until is None,
        created_at=timestamp(key.created_at),
        verifies_until=timestamp(key.verifies_until),
    )


def _show(views: Sequence[KeyView], *, as_json: bool) -> None:
    if as_json:
        print_json(views)
        return
    rows = [
        [
            *(row.kid, row.algorithm, "signs" if row.signs else "verifies"),
            *(row.created_at, row.verifies_until),
        ]
        for row in views
    ]
    print_table(["key", "algorithm", "use", "made", "verifies until"], rows)
