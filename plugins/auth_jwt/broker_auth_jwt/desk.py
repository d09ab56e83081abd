"""Where an administrator changes accounts: in their database, with or without a broker beside."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar, Unpack

import msgspec
from broker import PluginContext

from broker_auth_jwt.accounts import Accounts, make_accounts
from broker_auth_jwt.audit import Action, Audit, Details
from broker_auth_jwt.scopes import Roles

T = TypeVar("T")


class Desk(msgspec.Struct, frozen=True):
    """The open accounts, and the audit that hears what is done to them."""

    accounts: Accounts
    audit: Audit
    roles: Roles
    now: int
    """When the command was given, in milliseconds UTC."""

    def record(self, action: Action, **details: Unpack[Details]) -> None:
        """Tell the audit what was done, by whom this process runs as."""
        self.audit.record(action, subject=f"cli:{_account()}", peer="local", **details)

    def scopes_of(self, grants: Iterable[str]) -> list[str]:
        """Return what grants come to, sorted."""
        return sorted(self.roles.scopes_of(grants))


def at_desk(plugin: PluginContext, work: Callable[[Desk], Awaitable[T]]) -> T:
    """Return what `work` returns with the accounts that the config names."""

    async def run() -> T:
        async with _opened(plugin) as desk:
            return await work(desk)

    return asyncio.run(run())


@asynccontextmanager
async def _opened(plugin: PluginContext) -> AsyncIterator[Desk]:
    config = plugin.config
    plugin.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    accounts = make_accounts(config, plugin.data_dir)
    audit = Audit(plugin.data_dir / config.audit, clock=plugin.clock)
    await audit.open()  # first: nothing is changed of which nobody could read later
    await accounts.open()
    try:
        yield Desk(accounts, audit, Roles(config.all_roles), plugin.clock.now())
    finally:
        await accounts.close()


def _account() -> str:
    """Return the name of this process's user; not the environment's, which anybody can set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
