"""What the providers of this plugin share."""

from __future__ import annotations

from contextlib import AsyncExitStack

from broker import PluginContext

from broker_auth_jwt.accounts import make_accounts
from broker_auth_jwt.audit import Audit
from broker_auth_jwt.bearer import BearerTokens
from broker_auth_jwt.config import AuthConfig
from broker_auth_jwt.issuers import Issuers
from broker_auth_jwt.keys import KeyRing
from broker_auth_jwt.logins import Logins
from broker_auth_jwt.passwords import Passwords
from broker_auth_jwt.scopes import Roles
from broker_auth_jwt.tokens import Tokens


class Parts:
    """One of each part, for one broker: `plugin.once(Parts)`."""

    def __init__(self, plugin: PluginContext) -> None:
        config: AuthConfig = plugin.config
        self.clock = clock = plugin.clock
        self.logger = logger = plugin.logger
        self.audit = Audit(plugin.data_dir / config.audit, clock=clock)
        self.passwords = Passwords()
        self.accounts = make_accounts(config, plugin.data_dir)
        self.keys = KeyRing(config, plugin.data_dir, clock=clock)
        leeway_ms = config.leeway_seconds * 1000
        self.roles = roles = Roles(config.all_roles)
        tokens = Tokens(config, self.keys, clock)
        self.issuers = Issuers(
            config.issuers, roles=roles, leeway_ms=leeway_ms, clock=clock, logger=logger
        )
        self.bearer_tokens = BearerTokens(
            accounts=self.accounts,
            keys=self.keys,
            tokens=tokens,
            issuers=self.issuers,
            roles=roles,
            clock=clock,
            leeway_ms=leeway_ms,
        )
        self.logins = Logins(
            accounts=self.accounts,
            keys=self.keys,
            passwords=self.passwords,
            tokens=tokens,
            audit=self.audit,
            clock=clock,
            meter=plugin.meter,
            access_seconds=config.access_seconds,
        )
        self._open = AsyncExitStack()

    async def open(self) -> None:
        """Open all of them; what was opened is closed again if one fails."""
        await self.audit.open()
        async with AsyncExitStack() as opened:
            for part in (self.passwords, self.accounts, self.issuers):
                opened.push_async_callback(part.close)
                await part.open()
            await self.keys.open()
            self._open = opened.pop_all()

    async def close(self) -> None:
        """Close them in reverse."""
        await self._open.aclose()
