"""Where users, logins and service tokens are kept."""

from __future__ import annotations

from pathlib import Path

from broker_auth_jwt.attempts import Attempts, clean_attempts
from broker_auth_jwt.changes import Changes
from broker_auth_jwt.config import AuthConfig
from broker_auth_jwt.database import Database, Transaction
from broker_auth_jwt.engine import Engine
from broker_auth_jwt.postgresql import PostgreSQL
from broker_auth_jwt.service_tokens import ServiceTokens
from broker_auth_jwt.sessions import Sessions
from broker_auth_jwt.sqlite_file import SQLiteFile
from broker_auth_jwt.users import Users


class Accounts:
    """One database with all of it, and what can be done there."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)
        self._counter = engine.counter()
        self.changes = Changes(self._database, self._counter)
        self.users = Users(self._database)
        self.sessions = Sessions(self._database)
        self.service_tokens = ServiceTokens(self._database)
        self.attempts = Attempts(self._database)

    async def open(self) -> None:
        """Make the database if there is none; raises StartupError for one that cannot be used."""
        try:
            await self._database.open()
            await self._counter.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was begun, and disconnect; harmless when called twice or without `open`."""
        # The writer last: the last to leave moves the log into the file, and a reader cannot.
        await self._counter.close()
        await self._database.close()

    async def ping(self) -> None:
        """Raise Unavailable if users and tokens cannot be looked up now."""
        await self.changes.current()
        await self.users.is_empty()

    async def clean(self, now: int) -> None:
        """Forget the sessions that have expired and the attempts that count no more."""

        async def clean(tx: Transaction) -> None:
            await tx.execute("DELETE FROM broker_sessions WHERE expires_at <= :now", now=now)
            await clean_attempts(tx, now)

        await self._database.change(clean)


def make_accounts(config: AuthConfig, data_dir: Path) -> Accounts:
    """Return the accounts that the config names; nothing is opened yet."""
    if config.database_url is not None:
        return Accounts(PostgreSQL(config.database_url.get_secret_value()))
    return Accounts(SQLiteFile(data_dir / config.database))
